DROP TABLE catalog_snapshots, idempotency_keys, activity_batches, activity;
