DROP TABLE ledger_batches, usage_records, transfers, operations, holds, instances, accounts;
DROP FUNCTION ensure_history_partitions(timestamptz);
DROP FUNCTION history_is_final();
DROP FUNCTION ledger_require(boolean);
