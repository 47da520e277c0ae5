-- The four tiers, and who is on which.

CREATE TABLE plans (
    id                      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_type               varchar(20) NOT NULL UNIQUE,
    name                    varchar(100) NOT NULL,
    description             text        NOT NULL,
    daily_request_limit     bigint      NOT NULL,
    monthly_request_limit   bigint      NOT NULL,
    daily_token_limit       bigint      NOT NULL,
    monthly_token_limit     bigint      NOT NULL,
    price_per_month_nanos   bigint      NOT NULL,
    yearly_price_nanos      bigint,
    -- Nano-dollars for a million tokens; only a pay-as-you-go plan has one.
    price_per_million_nanos bigint,
    is_pay_as_you_go        boolean     NOT NULL DEFAULT false,
    max_concurrent_requests bigint      NOT NULL,
    features                jsonb       NOT NULL DEFAULT '[]',
    is_active               boolean     NOT NULL DEFAULT true,
    sort_order              smallint    NOT NULL,
    created_at              timestamptz NOT NULL DEFAULT now()
);

INSERT INTO plans (plan_type, name, description, daily_request_limit, monthly_request_limit, daily_token_limit,
    monthly_token_limit, price_per_month_nanos, yearly_price_nanos, price_per_million_nanos, is_pay_as_you_go,
    max_concurrent_requests, features, sort_order) VALUES
('free', 'Free', 'For a first look', 1000, 10000, 100000, 1000000, 0, NULL, NULL, false, 5,
    '["basic_models"]', 1),
('dev', 'Dev', 'For one developer', 10000, 300000, 1000000, 10000000, 29000000000, 290000000000, NULL, false, 15,
    '["basic_models", "advanced_models"]', 2),
('team', 'Team', 'For a team', 50000, 1500000, 5000000, 50000000, 99000000000, 990000000000, NULL, false, 50,
    '["basic_models", "advanced_models", "priority_support"]', 3),
('customize', 'Customize', 'Pay as you go', 1000000, 30000000, 100000000, 1000000000, 0, NULL, 20000000000, true, 100,
    '["basic_models", "advanced_models", "priority_support", "custom_limits"]', 4);

CREATE TABLE user_plans (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint      NOT NULL REFERENCES users ON DELETE CASCADE,
    plan_id    bigint      NOT NULL REFERENCES plans,
    start_date timestamptz NOT NULL,
    -- NULL: the Free plan does not end.
    end_date   timestamptz,
    is_active  boolean     NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX user_plans_one_active ON user_plans (user_id) WHERE is_active;

CREATE TRIGGER user_plans_changed
    AFTER INSERT OR UPDATE OR DELETE ON user_plans
    FOR EACH ROW EXECUTE FUNCTION identity_changed();
