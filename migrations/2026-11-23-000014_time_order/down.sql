DROP INDEX usage_records_of_user;
CREATE INDEX usage_records_of_user ON usage_records (user_id, created_at DESC);
DROP INDEX activity_of_user;
CREATE INDEX activity_of_user ON activity (user_id, created_at DESC, id DESC);
