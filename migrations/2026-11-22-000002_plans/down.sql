DROP TABLE user_plans, plans;
