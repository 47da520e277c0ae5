DROP INDEX activity_events_of_user;
-- Sums of actions that are shown alike become one again.
CREATE TEMPORARY TABLE shown_alike ON COMMIT DROP AS
SELECT user_id, day, api_key_id, model, provider, sum(entries)::bigint AS entries, sum(requests)::bigint AS requests,
    sum(prompt_tokens)::bigint AS prompt_tokens, sum(completion_tokens)::bigint AS completion_tokens, sum(cost)::bigint AS cost
FROM activity_daily GROUP BY user_id, day, api_key_id, model, provider;
DELETE FROM activity_daily;
ALTER TABLE activity_daily DROP CONSTRAINT activity_daily_pkey;
ALTER TABLE activity_daily DROP COLUMN action, DROP COLUMN first_at, DROP COLUMN last_at;
ALTER TABLE activity_daily ADD PRIMARY KEY (user_id, day, api_key_id, model, provider);
INSERT INTO activity_daily SELECT * FROM shown_alike;
DROP TABLE shown_alike;
DROP TABLE notification_preferences;
DROP INDEX api_keys_of_user;
DROP INDEX api_keys_name_per_user;
-- An older server would list them, and count them.
DELETE FROM api_keys WHERE is_session;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_name_per_user UNIQUE (user_id, key_name);
ALTER TABLE api_keys DROP COLUMN is_session;
