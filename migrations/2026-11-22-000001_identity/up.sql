-- Who may call: users, their API keys, and what the keys' owners did with them.

CREATE TABLE users (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The id that seed 002's clients see: 24 hex digits.
    public_id           text        NOT NULL DEFAULT substr(replace(gen_random_uuid()::text, '-', ''), 1, 24) UNIQUE,
    username            varchar(255) NOT NULL,
    email               varchar(255) NOT NULL,
    auth_method         varchar(50) NOT NULL DEFAULT 'email',
    is_active           boolean     NOT NULL DEFAULT true,
    is_admin            boolean     NOT NULL DEFAULT false,
    subscription_status varchar(50) NOT NULL DEFAULT 'trial'
                        CHECK (subscription_status IN ('active', 'expired', 'cancelled', 'trial')),
    trial_expires_at    timestamptz,
    trial_used_tokens   bigint      NOT NULL DEFAULT 0,
    trial_used_requests bigint      NOT NULL DEFAULT 0,
    name                varchar(255),
    preferences         jsonb       NOT NULL DEFAULT '{}',
    settings            jsonb       NOT NULL DEFAULT '{}',
    privy_user_id       varchar(255) UNIQUE,
    -- The sign-up credits that the ledger has yet to grant: a crash between the two is made good at the next start.
    pending_grant_nanos bigint      CHECK (pending_grant_nanos > 0),
    registration_date   timestamptz NOT NULL DEFAULT now(),
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_username_key UNIQUE (username)
);
-- One account per address, however it is capitalised.
CREATE UNIQUE INDEX users_email_key ON users (lower(email));
-- Looked through every minute; hardly ever has a row.
CREATE INDEX users_pending_grant ON users (id) WHERE pending_grant_nanos IS NOT NULL;

CREATE TABLE api_keys (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id           bigint      NOT NULL REFERENCES users ON DELETE CASCADE,
    -- HMAC-SHA256 of the whole key under the pepper of that version; the key itself is shown once and not kept.
    key_hash          bytea       NOT NULL UNIQUE CHECK (octet_length(key_hash) = 32),
    pepper_version    smallint    NOT NULL,
    masked            varchar(20) NOT NULL,
    last4             char(4)     NOT NULL,
    key_name          varchar(255) NOT NULL,
    environment_tag   varchar(20) NOT NULL CHECK (environment_tag IN ('live', 'test', 'staging', 'development')),
    is_primary        boolean     NOT NULL DEFAULT false,
    is_active         boolean     NOT NULL DEFAULT true,
    scope_permissions jsonb       NOT NULL DEFAULT '{}',
    ip_allowlist      text[]      NOT NULL DEFAULT '{}',
    domain_referrers  text[]      NOT NULL DEFAULT '{}',
    model_allowlist   text[]      NOT NULL DEFAULT '{}',
    expiration_date   timestamptz,
    max_requests      bigint      CHECK (max_requests > 0),
    requests_used     bigint      NOT NULL DEFAULT 0,
    last_used_at      timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_keys_name_per_user UNIQUE (user_id, key_name),
    CONSTRAINT api_keys_request_cap CHECK (max_requests IS NULL OR requests_used <= max_requests)
);

-- What a key may do in a minute, an hour, a day. A key without a row has the settings' defaults.
CREATE TABLE rate_limit_configs (
    api_key_id          bigint PRIMARY KEY REFERENCES api_keys ON DELETE CASCADE,
    requests_per_minute bigint NOT NULL CHECK (requests_per_minute >= 0),
    requests_per_hour   bigint NOT NULL CHECK (requests_per_hour >= 0),
    requests_per_day    bigint NOT NULL CHECK (requests_per_day >= 0),
    tokens_per_minute   bigint NOT NULL CHECK (tokens_per_minute >= 0),
    tokens_per_hour     bigint NOT NULL CHECK (tokens_per_hour >= 0),
    tokens_per_day      bigint NOT NULL CHECK (tokens_per_day >= 0),
    burst_limit         bigint NOT NULL CHECK (burst_limit >= 0),
    concurrency_limit   bigint NOT NULL CHECK (concurrency_limit >= 0),
    updated_at          timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_key_audit_logs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint      NOT NULL,
    api_key_id bigint,
    action     text        NOT NULL,
    details    jsonb       NOT NULL DEFAULT '{}',
    timestamp  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_key_audit_logs_user ON api_key_audit_logs (user_id, id DESC);

-- What replicas read to learn that a cached key is stale. NOTIFY wakes them, this table is the truth: a replica that
-- missed the notification reads the last seconds of it twice a second.
CREATE TABLE identity_changes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint      NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX identity_changes_time ON identity_changes (changed_at);

CREATE FUNCTION identity_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed bigint;
BEGIN
    IF TG_TABLE_NAME = 'users' THEN
        changed := CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END;
    ELSIF TG_TABLE_NAME = 'rate_limit_configs' THEN
        SELECT user_id INTO changed FROM api_keys
        WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.api_key_id ELSE NEW.api_key_id END;
    ELSE
        changed := CASE WHEN TG_OP = 'DELETE' THEN OLD.user_id ELSE NEW.user_id END;
    END IF;
    IF changed IS NOT NULL THEN
        INSERT INTO identity_changes (user_id) VALUES (changed);
        PERFORM pg_notify('identity', changed::text);
    END IF;
    RETURN NULL;
END $$;

-- Counters (requests_used, last_used_at, trial usage) are not in these lists: a call must not make a key stale.
CREATE TRIGGER users_changed
    AFTER DELETE OR UPDATE OF is_active, is_admin, subscription_status, trial_expires_at, username, email ON users
    FOR EACH ROW EXECUTE FUNCTION identity_changed();
CREATE TRIGGER api_keys_changed
    AFTER DELETE OR UPDATE OF key_hash, key_name, environment_tag, is_active, scope_permissions, ip_allowlist,
        domain_referrers, model_allowlist, expiration_date, max_requests ON api_keys
    FOR EACH ROW EXECUTE FUNCTION identity_changed();
CREATE TRIGGER rate_limit_configs_changed
    AFTER INSERT OR UPDATE OR DELETE ON rate_limit_configs
    FOR EACH ROW EXECUTE FUNCTION identity_changed();
