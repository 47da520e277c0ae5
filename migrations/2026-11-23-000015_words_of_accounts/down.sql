ALTER TABLE holds ADD CONSTRAINT holds_asked_check CHECK (asked >= 0);
DROP VIEW account_movements;
ALTER TABLE accounts
    ALTER COLUMN kind TYPE text,
    ADD CONSTRAINT accounts_kind_check CHECK (kind IN ('user', 'debt', 'budget', 'revenue', 'grants', 'clearing', 'refunds')),
    ALTER COLUMN asset TYPE text, ADD CONSTRAINT accounts_asset_check CHECK (asset IN ('usd', 'tokens'));

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

DROP DOMAIN account_asset;
DROP DOMAIN account_kind;
