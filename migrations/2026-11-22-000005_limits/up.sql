-- What keys and users have used of their windows, who has been refused, and what an operator granted.

-- One row for each key and each user, not for each window: a flush writes two rows for a busy caller, and nothing piles up.
-- A window that is over is overwritten by the next. Starts are UTC.
CREATE TABLE limit_counters (
    scope           text        NOT NULL CHECK (scope IN ('key', 'user')),
    subject_id      bigint      NOT NULL,
    minute_start    timestamptz NOT NULL,
    minute_requests bigint      NOT NULL,
    minute_tokens   bigint      NOT NULL,
    hour_start      timestamptz NOT NULL,
    hour_requests   bigint      NOT NULL,
    hour_tokens     bigint      NOT NULL,
    day_start       timestamptz NOT NULL,
    day_requests    bigint      NOT NULL,
    day_tokens      bigint      NOT NULL,
    month_start     timestamptz NOT NULL,
    month_requests  bigint      NOT NULL,
    month_tokens    bigint      NOT NULL,
    PRIMARY KEY (scope, subject_id)
) WITH (fillfactor = 70);

-- How far each run of a server has written its counts, so that a batch whose outcome is unknown counts once; and who else
-- is alive.
CREATE TABLE limit_writers (
    id         uuid PRIMARY KEY,
    sequence   bigint      NOT NULL,
    written_at timestamptz NOT NULL
);

-- Refusals of keys: one for each key, kind and window.
CREATE TABLE rate_limit_alerts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint      NOT NULL,
    api_key_id  bigint      NOT NULL,
    alert_type  varchar(50) NOT NULL,
    -- Which window the refusal fell in; a burst's and a concurrency's is the minute.
    window_start timestamptz NOT NULL,
    details     jsonb       NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL,
    resolved    boolean     NOT NULL DEFAULT false,
    resolved_at timestamptz,
    resolved_by text,
    CONSTRAINT rate_limit_alerts_once UNIQUE (api_key_id, alert_type, window_start)
);
CREATE INDEX rate_limit_alerts_time ON rate_limit_alerts (created_at);

-- What the operator gave the key at last: its owner may not go above it. NULL: the settings' defaults.
ALTER TABLE rate_limit_configs ADD COLUMN granted jsonb;
-- Until now only operators have set limits.
UPDATE rate_limit_configs SET granted = jsonb_build_object(
    'requests_per_minute', requests_per_minute, 'requests_per_hour', requests_per_hour, 'requests_per_day', requests_per_day,
    'tokens_per_minute', tokens_per_minute, 'tokens_per_hour', tokens_per_hour, 'tokens_per_day', tokens_per_day,
    'burst', burst_limit, 'concurrency', concurrency_limit);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tollgate_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON limit_counters, limit_writers, rate_limit_alerts TO tollgate_app;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO tollgate_app;
    END IF;
END $$;
