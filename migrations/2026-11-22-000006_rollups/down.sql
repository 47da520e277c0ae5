DROP INDEX holds_unpaid, transfers_of_link, usage_records_of_link, activity_batches_time;
DROP TABLE transaction_totals, transaction_folds;
DROP VIEW account_movements;
DROP TABLE activity_totals, activity_daily;
ALTER TABLE activity DROP COLUMN provider, DROP COLUMN model;
