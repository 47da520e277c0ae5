-- What surrounds a model call: the activity page's rows, stored answers, the last good catalogues.

CREATE TABLE activity (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint       NOT NULL,
    action     varchar(100) NOT NULL,
    details    jsonb        NOT NULL DEFAULT '{}',
    created_at timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX activity_of_user ON activity (user_id, created_at DESC, id DESC);

-- Which lines of the activity journal have landed, so that a replay after a crash writes none twice.
CREATE TABLE activity_batches (
    id         uuid PRIMARY KEY,
    created_at timestamptz NOT NULL
);

-- An Idempotency-Key of the last 24 hours: what it was asked, and what it was answered. status NULL: still running.
CREATE TABLE idempotency_keys (
    user_id       bigint      NOT NULL,
    key           text        NOT NULL,
    body_hash     bytea       NOT NULL,
    generation_id uuid        NOT NULL,
    streamed      boolean     NOT NULL,
    status        smallint,
    content_type  text,
    body          bytea,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_time ON idempotency_keys (created_at);

CREATE TABLE catalog_snapshots (
    gateway    text PRIMARY KEY,
    fetched_at timestamptz NOT NULL,
    models     jsonb       NOT NULL
);

-- The application's role, where the operator made one: it may add to history, and nothing else.
DO $$
DECLARE
    part regclass;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tollgate_app') THEN
        GRANT USAGE ON SCHEMA public TO tollgate_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tollgate_app;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO tollgate_app;
        REVOKE UPDATE, DELETE, TRUNCATE ON transfers, usage_records, ledger_batches, operations, api_key_audit_logs
            FROM tollgate_app;
        -- Partitions are reached through their tables. Those that are made later are granted to no one.
        FOR part IN SELECT inhrelid FROM pg_inherits
            WHERE inhparent IN ('transfers'::regclass, 'usage_records'::regclass) LOOP
            EXECUTE format('REVOKE ALL ON %s FROM tollgate_app', part);
        END LOOP;
    END IF;
END $$;
