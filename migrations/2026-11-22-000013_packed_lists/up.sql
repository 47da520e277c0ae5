-- The last good lists of models, compressed: what long ones take in memory on their way here is memory that calls have not.
-- They are a cache: until a replica of an earlier version is replaced, it warns that it can neither save nor load.
DELETE FROM catalog_snapshots;
ALTER TABLE catalog_snapshots DROP COLUMN models, ADD COLUMN packed bytea NOT NULL;
