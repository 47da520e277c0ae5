DELETE FROM catalog_snapshots;
ALTER TABLE catalog_snapshots DROP COLUMN packed, ADD COLUMN models jsonb NOT NULL;
