ALTER TABLE rate_limit_configs DROP COLUMN granted;
DROP TABLE rate_limit_alerts, limit_writers, limit_counters;
