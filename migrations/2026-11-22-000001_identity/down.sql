DROP TABLE identity_changes, api_key_audit_logs, rate_limit_configs, api_keys, users;
DROP FUNCTION identity_changed();
