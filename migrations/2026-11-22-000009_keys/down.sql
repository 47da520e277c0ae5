DROP TRIGGER api_keys_changed ON api_keys;
CREATE TRIGGER api_keys_changed
    AFTER DELETE OR UPDATE OF key_hash, key_name, environment_tag, is_active, scope_permissions, ip_allowlist,
        domain_referrers, model_allowlist, expiration_date, max_requests ON api_keys
    FOR EACH ROW EXECUTE FUNCTION identity_changed();

UPDATE holds SET budget_account_id = NULL WHERE budget_account_id IS NOT NULL;
DELETE FROM accounts WHERE kind = 'budget';
DROP TABLE key_budgets;
ALTER TABLE accounts
    DROP CONSTRAINT accounts_never_overspent,
    ADD CONSTRAINT accounts_never_overspent CHECK (kind NOT IN ('user', 'budget') OR posted - held >= 0);

ALTER TABLE api_keys
    DROP COLUMN previous_key_hash,
    DROP COLUMN previous_masked,
    DROP COLUMN previous_last4,
    DROP COLUMN previous_expires_at,
    DROP COLUMN rotated_at,
    DROP COLUMN budget_nanos,
    DROP COLUMN budget_period,
    DROP COLUMN budget_since;
