-- Movements of slot $1 after link $2 and up to link $3, of times from $4 to $5, into the totals of their accounts: what the view
-- `account_movements` says of them. Which account a call was charged to, its transfer says; its hold, when nothing was paid.
WITH moved AS MATERIALIZED (
    SELECT kind, debit_account, credit_account, CASE kind WHEN 'debt' THEN reference END AS owing, sum(amount) AS amount,
        count(*) AS count
    FROM transfers
    WHERE slot = $1 AND batch > $2 AND batch <= $3 AND created_at BETWEEN $4 AND $5
    GROUP BY kind, debit_account, credit_account, owing
),
unpaid AS (
    SELECT hold_id FROM usage_records
    WHERE slot = $1 AND batch > $2 AND batch <= $3 AND created_at BETWEEN $4 AND $5 AND cost = 0
    UNION ALL
    SELECT owing FROM moved WHERE kind = 'debt'
),
movements AS (
    SELECT debit_account AS account_id, kind, count, -amount AS amount FROM moved WHERE kind = 'api_usage'
    UNION ALL
    -- What was owed in part has a transfer of what was paid, counted above.
    SELECT h.account_id, 'api_usage', count(*), 0 FROM unpaid u JOIN holds h ON h.id = u.hold_id
    WHERE coalesce(h.debt, 0) = h.charged GROUP BY h.account_id
    UNION ALL
    SELECT side.account_id, CASE m.kind WHEN 'debt_repayment' THEN 'api_usage' ELSE m.kind END, m.count, side.amount
    FROM moved m CROSS JOIN LATERAL (VALUES (m.debit_account, -m.amount), (m.credit_account, m.amount)) side (account_id, amount)
    JOIN accounts a ON a.id = side.account_id AND a.kind = 'user'
    WHERE m.kind <> 'api_usage'
)
INSERT INTO transaction_totals AS total (account_id, kind, count, amount)
SELECT account_id, kind, sum(count), sum(amount) FROM movements GROUP BY account_id, kind ORDER BY account_id, kind
ON CONFLICT (account_id, kind) DO UPDATE SET count = total.count + excluded.count, amount = total.amount + excluded.amount
