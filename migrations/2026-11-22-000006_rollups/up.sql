-- What users see of what they did: summed while it is written, so that no page sums history.

-- Activity: sums by UTC day, written in the statement that writes the rows.

-- What a row is shown as and filtered by.
ALTER TABLE activity ADD COLUMN model text NOT NULL DEFAULT '', ADD COLUMN provider text NOT NULL DEFAULT '';
UPDATE activity SET model = coalesce(details->>'model', ''), provider = coalesce(details->>'provider', '');

CREATE TABLE activity_daily (
    user_id           bigint NOT NULL,
    day               date   NOT NULL,
    -- 0: no call, or one from before this table.
    api_key_id        bigint NOT NULL,
    model             text   NOT NULL,
    provider          text   NOT NULL,
    -- Rows of all actions, and how many of them are chat completions; only those have tokens and a cost.
    entries           bigint NOT NULL,
    requests          bigint NOT NULL,
    prompt_tokens     bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    -- Nano-dollars.
    cost              bigint NOT NULL,
    PRIMARY KEY (user_id, day, api_key_id, model, provider)
) WITH (fillfactor = 50);

INSERT INTO activity_daily
SELECT user_id, (created_at AT TIME ZONE 'UTC')::date, 0, model, provider, count(*),
    count(*) FILTER (WHERE action = 'chat_completion'),
    coalesce(sum((details->>'prompt_tokens')::bigint), 0), coalesce(sum((details->>'completion_tokens')::bigint), 0),
    coalesce(sum((details->>'cost')::numeric * 1000000000), 0)::bigint
FROM activity GROUP BY 1, 2, 4, 5;

-- A key's calls since there is this table.
CREATE TABLE activity_totals (
    api_key_id        bigint      PRIMARY KEY,
    user_id           bigint      NOT NULL,
    requests          bigint      NOT NULL,
    prompt_tokens     bigint      NOT NULL,
    completion_tokens bigint      NOT NULL,
    cost              bigint      NOT NULL,
    last_request_at   timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX activity_totals_of_user ON activity_totals (user_id);

CREATE INDEX activity_batches_time ON activity_batches (created_at);

-- Credits: what moved a user's balance, whatever table it stands in. A call is one movement; what it left owing did not
-- leave the balance.
CREATE VIEW account_movements AS
SELECT u.created_at, u.slot, u.batch, u.user_id, h.account_id, 'api_usage' AS kind, coalesce(h.debt, 0) - u.cost AS amount
FROM usage_records u JOIN holds h ON h.id = u.hold_id
UNION ALL
SELECT t.created_at, t.slot, t.batch, t.user_id, side.account_id,
    CASE t.kind WHEN 'debt_repayment' THEN 'api_usage' ELSE t.kind END, side.amount
FROM transfers t
CROSS JOIN LATERAL (VALUES (t.debit_account, -t.amount), (t.credit_account, t.amount)) AS side (account_id, amount)
JOIN accounts a ON a.id = side.account_id AND a.kind = 'user'
WHERE t.kind <> 'api_usage';

-- The movements up to a link of each slot's chain, summed. Links are committed in order, so a link that is seen has all
-- before it: no clock decides what is in the sum.
CREATE TABLE transaction_folds (
    slot      int         PRIMARY KEY,
    batch     bigint      NOT NULL DEFAULT 0,
    -- No movement after that link is older, but for the time that a batch takes to commit.
    folded_at timestamptz NOT NULL DEFAULT 'epoch'
);
CREATE TABLE transaction_totals (
    account_id bigint NOT NULL,
    kind       text   NOT NULL,
    count      bigint NOT NULL,
    amount     bigint NOT NULL,
    PRIMARY KEY (account_id, kind)
) WITH (fillfactor = 50);

-- The fold reads what came since the last one, `ledger verify` link by link. All rows of a batch share a key and are appended, so
-- that it costs an insert next to nothing: eight bytes a row.
CREATE INDEX usage_records_of_link ON usage_records (slot, batch);
CREATE INDEX transfers_of_link ON transfers (slot, batch);

-- Holds that cost nothing (released, expired, refused) are forgotten in time.
CREATE INDEX holds_unpaid ON holds (created_at) WHERE state IN (2, 3, 4);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tollgate_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON activity_daily, activity_totals, transaction_folds, transaction_totals
            TO tollgate_app;
        GRANT SELECT ON account_movements TO tollgate_app;
    END IF;
END $$;
