-- Who was on which plan: looked up for a user whose plan has ended, and when a user is deleted.
CREATE INDEX user_plans_of_user ON user_plans (user_id, id DESC);
