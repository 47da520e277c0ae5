-- One batch of the ledger, in one statement. The binds (?) are columns of arrays, in the order of `batch.rs`. In a select list they
-- become rows one by one; `FROM unnest(…)` would first store each column, for a quarter more of the statement's time.
-- Accounts are locked in sorted order before anything else is touched; an account that is not as the batch was decided
-- on drops out of `locked`, the counts at the end differ, and the statement fails as a whole. So it does when a hold's or an
-- operation's id is there already: their keys see to that, at half the cost of an insert that has to ask first.
WITH batch (slot, number, at) AS (VALUES (?::int, ?::bigint, ?::timestamptz)),
locked AS MATERIALIZED (
    SELECT a.id, c.posted_delta, c.held_delta
    FROM (SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)) AS c (id, posted, held, posted_delta, held_delta)
    JOIN accounts a ON a.id = c.id AND a.posted = c.posted AND a.held = c.held
    ORDER BY a.id FOR UPDATE OF a
),
changed AS (
    UPDATE accounts a SET posted = a.posted + l.posted_delta, held = a.held + l.held_delta
    FROM locked l WHERE a.id = l.id AND (l.posted_delta, l.held_delta) <> (0, 0)
),
opened AS (
    INSERT INTO holds (id, account_id, budget_account_id, asked, amount, state, charged, debt, slot, created_at, expires_at, closed_at)
    SELECT h.id, h.account_id, h.budget_account_id, h.asked, h.amount, h.state, h.charged, h.debt, b.slot, b.at, h.expires_at,
        CASE WHEN h.state IN (1, 2, 3) THEN b.at END
    FROM (SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?))
            AS h (id, account_id, budget_account_id, asked, amount, state, charged, debt, expires_at),
        batch b
),
closed AS (
    UPDATE holds h SET state = c.next, charged = c.charged, debt = c.debt, closed_at = b.at
    FROM (SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)) AS c (id, amount, state, next, charged, debt), batch b
    WHERE h.id = c.id AND h.amount = c.amount AND h.state = c.state RETURNING 1
),
noted AS (
    INSERT INTO operations (id, kind, body_hash, credits_after, held_after, debt_after, slot, batch, created_at)
    SELECT o.*, b.slot, b.number, b.at
    FROM (SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)) AS o, batch b
),
moved AS (
    INSERT INTO transfers (created_at, slot, batch, ordinal, kind, debit_account, credit_account, amount, reference, user_id,
        balance_after, description)
    SELECT b.at, b.slot, b.number, t.*
    FROM (SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)) AS t, batch b
),
used AS (
    INSERT INTO usage_records (created_at, slot, batch, ordinal, hold_id, user_id, api_key_id, model, gateway, prompt_tokens,
        completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost, balance_after, latency_ms,
        estimated, streamed, finish_reason, provider, session_id)
    SELECT b.at, b.slot, b.number, u.*
    FROM (SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?),
            unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)) AS u,
        batch b
),
chained AS (
    INSERT INTO ledger_batches (slot, batch, previous_hash, hash, transfers, usage_records, created_at)
    SELECT b.slot, b.number, k.*, b.at
    FROM (SELECT unnest(?), unnest(?), unnest(?), unnest(?)) AS k, batch b
)
SELECT ledger_require((SELECT count(*) FROM locked) = ?
    AND (SELECT count(*) FROM closed) = ?)
