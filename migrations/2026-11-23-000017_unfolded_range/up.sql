-- PostgreSQL takes a time that it does not know at planning for a third of history, and reads all of it; a range between two such times
-- for a two-hundredth, and goes by the index.
CREATE OR REPLACE VIEW unfolded_calls AS
SELECT u.* FROM instances i LEFT JOIN activity_folds f ON f.slot = i.slot
JOIN usage_records u ON u.slot = i.slot AND u.batch > coalesce(f.batch, 0)
WHERE u.provider <> '' AND u.created_at >= (SELECT coalesce(min(folded_at), 'epoch') - interval '1 minute' FROM activity_folds)
    AND u.created_at <= (SELECT coalesce(max(folded_at), 'epoch') + interval '1000 years' FROM activity_folds);
