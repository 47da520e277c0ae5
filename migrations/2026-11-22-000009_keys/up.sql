-- Keys that are rotated, and keys with a budget of their own.

ALTER TABLE api_keys
    -- The secret before the last rotation works until its grace ends. There is at most one: the next rotation ends it at once.
    ADD COLUMN previous_key_hash   bytea       CONSTRAINT api_keys_previous_hash UNIQUE CHECK (octet_length(previous_key_hash) = 32),
    ADD COLUMN previous_masked     varchar(20),
    ADD COLUMN previous_last4      char(4),
    ADD COLUMN previous_expires_at timestamptz,
    ADD COLUMN rotated_at          timestamptz,
    -- What the key may spend in each of its periods, in nano-dollars; what it spent before the budget was set does not count.
    ADD COLUMN budget_nanos        bigint      CHECK (budget_nanos > 0),
    ADD COLUMN budget_period       text        CHECK (budget_period IN ('daily', 'weekly', 'monthly', 'total')),
    ADD COLUMN budget_since        timestamptz,
    ADD CONSTRAINT api_keys_previous_is_whole
        CHECK (num_nulls(previous_key_hash, previous_masked, previous_last4, previous_expires_at) IN (0, 4)),
    ADD CONSTRAINT api_keys_budget_is_whole CHECK (num_nulls(budget_nanos, budget_period, budget_since) IN (0, 3));

-- A budget's sub-account for one of its periods. The account begins with the limit and goes down by what calls cost; a new
-- period is a new account, so that no reset races with a call. No foreign keys: the books outlive the key.
CREATE TABLE key_budgets (
    api_key_id  bigint      NOT NULL,
    starts_at   timestamptz NOT NULL,
    account_id  bigint      NOT NULL UNIQUE,
    limit_nanos bigint      NOT NULL,
    PRIMARY KEY (api_key_id, starts_at)
);

-- A call that cost more than its hold is charged in full, and a limit may be lowered below what is spent: so what is left of a
-- budget may be less than nothing. No hold is granted from that; the writer decides on balances that its statement compares.
ALTER TABLE accounts
    DROP CONSTRAINT accounts_never_overspent,
    ADD CONSTRAINT accounts_never_overspent CHECK (kind <> 'user' OR posted - held >= 0);

DROP TRIGGER api_keys_changed ON api_keys;
CREATE TRIGGER api_keys_changed
    AFTER DELETE OR UPDATE OF key_hash, key_name, environment_tag, is_active, scope_permissions, ip_allowlist,
        domain_referrers, model_allowlist, expiration_date, max_requests, previous_key_hash, previous_expires_at,
        budget_nanos, budget_period, budget_since ON api_keys
    FOR EACH ROW EXECUTE FUNCTION identity_changed();

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tollgate_app') THEN
        GRANT SELECT, INSERT, UPDATE ON key_budgets TO tollgate_app;
    END IF;
END $$;
