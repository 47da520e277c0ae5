-- A user's rows come in the order of time. An index in that order fills its pages from left to right; one against it splits each
-- page in halves that are never filled, and is twice as large. Both are read from their ends.
DROP INDEX activity_of_user;
CREATE INDEX activity_of_user ON activity (user_id, created_at, id);
DROP INDEX usage_records_of_user;
CREATE INDEX usage_records_of_user ON usage_records (user_id, created_at);
