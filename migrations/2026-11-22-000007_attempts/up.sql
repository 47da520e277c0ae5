-- Requests to a model gateway that came to nothing: what was tried before the answer, or instead of one. Never charged.

CREATE TABLE failed_attempts (
    generation_id uuid        NOT NULL,
    -- Of the generation's attempts, from 1. The one that answered has no row here: it is the usage record.
    ordinal       smallint    NOT NULL,
    user_id       bigint      NOT NULL,
    gateway       text        NOT NULL,
    model         text        NOT NULL,
    kind          text        NOT NULL,
    status        smallint,
    latency_ms    integer     NOT NULL,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (generation_id, ordinal)
);
CREATE INDEX failed_attempts_time ON failed_attempts (created_at);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tollgate_app') THEN
        GRANT SELECT, INSERT, DELETE ON failed_attempts TO tollgate_app;
    END IF;
END $$;
