-- Every statement that writes a table reads that table's CHECKs anew, and a list of words is long to read: a domain's is read where
-- such a word is written. An account keeps its words; its balance changes with every call.
CREATE DOMAIN account_kind AS text CHECK (VALUE IN ('user', 'debt', 'budget', 'revenue', 'grants', 'clearing', 'refunds'));
CREATE DOMAIN account_asset AS text CHECK (VALUE IN ('usd', 'tokens'));

DROP VIEW account_movements;
ALTER TABLE accounts
    DROP CONSTRAINT accounts_kind_check, ALTER COLUMN kind TYPE account_kind,
    DROP CONSTRAINT accounts_asset_check, ALTER COLUMN asset TYPE account_asset;

-- As it was: no column that a view reads can change its type.
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

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tollgate_app') THEN
        GRANT SELECT ON account_movements TO tollgate_app;
    END IF;
END $$;

-- The amount is nothing or more, and at most what was asked: then so is that.
ALTER TABLE holds DROP CONSTRAINT holds_asked_check;
