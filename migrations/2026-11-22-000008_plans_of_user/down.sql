DROP INDEX user_plans_of_user;
