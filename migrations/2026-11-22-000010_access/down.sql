DROP INDEX rate_limit_alerts_of_user, failed_attempts_of_user, activity_daily_of_day, api_key_audit_logs_deletions;
DROP TRIGGER audit_rows_are_linked ON api_key_audit_logs;
DROP TRIGGER audit_rows_are_only_erased ON api_key_audit_logs;
DROP TRIGGER audit_rows_are_final ON api_key_audit_logs;
DROP FUNCTION link_audit_row, add_audit_link, audit_row_is_only_erased;
DROP TABLE audit_links;
-- Acts on the whole house have no place without a chain.
DELETE FROM api_key_audit_logs WHERE user_id IS NULL;
ALTER TABLE api_key_audit_logs
    DROP CONSTRAINT audit_action_is_a_word,
    DROP CONSTRAINT audit_actor_is_known,
    DROP COLUMN salt,
    DROP COLUMN actor,
    ALTER COLUMN user_id SET NOT NULL;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tollgate_app') THEN
        REVOKE UPDATE (details) ON api_key_audit_logs FROM tollgate_app;
    END IF;
END $$;
