CREATE OR REPLACE VIEW unfolded_calls AS
SELECT u.* FROM instances i LEFT JOIN activity_folds f ON f.slot = i.slot
JOIN usage_records u ON u.slot = i.slot AND u.batch > coalesce(f.batch, 0)
WHERE u.provider <> '' AND u.created_at >= (SELECT coalesce(min(folded_at), 'epoch') - interval '1 minute' FROM activity_folds);
