-- Signing in with Privy: keys of web sessions; who wants to be told of what; and the activity page's filter by action.

-- A key that a sign-in made: it expires, only the newest few of a user stay alive, and lists leave it out.
ALTER TABLE api_keys ADD COLUMN is_session boolean NOT NULL DEFAULT false;

-- Sessions all have one name; it takes none from the user's own keys.
ALTER TABLE api_keys DROP CONSTRAINT api_keys_name_per_user;
CREATE UNIQUE INDEX api_keys_name_per_user ON api_keys (user_id, key_name) WHERE NOT is_session;
-- The sign-in looks for a user's sessions, deletion for all keys.
CREATE INDEX api_keys_of_user ON api_keys (user_id);

CREATE TABLE notification_preferences (
    user_id              bigint      PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    email_notifications  boolean     NOT NULL,
    low_balance_alerts   boolean     NOT NULL,
    trial_expiry_alerts  boolean     NOT NULL,
    subscription_alerts  boolean     NOT NULL,
    usage_alerts         boolean     NOT NULL,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL
);

-- What was done, beside how it is shown: `session` stands for several actions. And between which times, so that what is rare on
-- a full day is found where it is; of days before this table nobody knows.
ALTER TABLE activity_daily
    ADD COLUMN action   varchar(100) NOT NULL DEFAULT 'chat_completion',
    ADD COLUMN first_at timestamptz  NOT NULL DEFAULT '-infinity',
    ADD COLUMN last_at  timestamptz  NOT NULL DEFAULT 'infinity';
-- Until now nothing but calls and sign-ins was written.
UPDATE activity_daily SET action = 'user_login' WHERE requests = 0;
ALTER TABLE activity_daily DROP CONSTRAINT activity_daily_pkey;
ALTER TABLE activity_daily ADD PRIMARY KEY (user_id, day, api_key_id, action, model, provider);

-- What is rare among calls is found without reading them. A call's row pays one comparison for it.
CREATE INDEX activity_events_of_user ON activity (user_id, created_at DESC, id DESC) WHERE action <> 'chat_completion';

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tollgate_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON notification_preferences TO tollgate_app;
    END IF;
END $$;
