-- A call is written once, into the books. `activity` shows it beside what else a user did, as if it were a table of its own; the sums
-- of activity are made from it.

ALTER TABLE activity RENAME TO activity_events;
ALTER INDEX activity_pkey RENAME TO activity_events_pkey;

-- The model's maker, as the log shows it and filters by it. Empty: a call of an earlier server, which has a row among the events.
ALTER TABLE usage_records ADD COLUMN provider text NOT NULL DEFAULT '', ADD COLUMN session_id bigint;

-- A call's place among rows of one time. A JSON number is exact to 53 bits.
CREATE FUNCTION call_number(hold_id uuid) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('x' || right(hold_id::text, 12))::bit(48)::bigint
$$;

-- `details` of a `chat_completion` (`contract.md` A.7). No message text.
CREATE FUNCTION call_details(call usage_records, privy_user_id text) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT jsonb_build_object(
        'app', 'API',
        'endpoint', '/v1/chat/completions',
        'model', call.model,
        'provider', call.provider,
        'stream', call.streamed,
        'tokens_used', call.prompt_tokens + call.completion_tokens,
        'prompt_tokens', call.prompt_tokens,
        'completion_tokens', call.completion_tokens,
        'cost', trim_scale(call.cost * 0.000000001),
        -- Completion tokens per second.
        'speed', round(call.completion_tokens * 1000 / greatest(call.latency_ms, 1)::numeric, 2),
        'finish_reason', call.finish_reason,
        'generation_id', 'gen-' || replace(call.hold_id::text, '-', ''),
        'session_id', call.session_id,
        -- The account's own: whose the one in the query is, nobody has proved.
        'privy_user_id', privy_user_id)
$$;

-- Of users who are gone the books keep what was charged, by number, and nothing is shown.
CREATE VIEW activity AS
SELECT id, user_id, action, details, created_at, model, provider FROM activity_events
UNION ALL
SELECT call_number(u.hold_id), u.user_id, 'chat_completion', call_details(u, users.privy_user_id), u.created_at, u.model, u.provider
FROM usage_records u JOIN users ON users.id = u.user_id
WHERE u.provider <> '';

-- Other programs, and earlier servers while replicas are replaced, write it as the table that it was.
CREATE FUNCTION add_activity_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO activity_events (user_id, action, details, created_at, model, provider)
    VALUES (NEW.user_id, NEW.action, coalesce(NEW.details, '{}'), coalesce(NEW.created_at, now()), coalesce(NEW.model, ''),
        coalesce(NEW.provider, ''))
    RETURNING id INTO NEW.id;
    RETURN NEW;
END $$;
CREATE TRIGGER activity_takes_events INSTEAD OF INSERT ON activity FOR EACH ROW EXECUTE FUNCTION add_activity_event();

CREATE FUNCTION remove_activity_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM activity_events WHERE id = OLD.id AND user_id = OLD.user_id;
    RETURN OLD;
END $$;
CREATE TRIGGER activity_loses_events INSTEAD OF DELETE ON activity FOR EACH ROW EXECUTE FUNCTION remove_activity_event();

-- Calls up to a link of each slot's chain are in `activity_daily` and `activity_totals`, as `transaction_folds` says it of credits. What
-- came since is counted when it is asked for. The calls of today's history were counted when they were written.
CREATE TABLE activity_folds (
    slot      int         PRIMARY KEY,
    batch     bigint      NOT NULL DEFAULT 0,
    -- No call after that link is older, but for the time that a batch takes to commit.
    folded_at timestamptz NOT NULL DEFAULT 'epoch'
);
INSERT INTO activity_folds SELECT slot, max(batch), now() FROM ledger_batches GROUP BY slot;

CREATE VIEW unfolded_calls AS
SELECT u.* FROM instances i LEFT JOIN activity_folds f ON f.slot = i.slot
JOIN usage_records u ON u.slot = i.slot AND u.batch > coalesce(f.batch, 0)
WHERE u.provider <> '' AND u.created_at >= (SELECT coalesce(min(folded_at), 'epoch') - interval '1 minute' FROM activity_folds);

CREATE VIEW activity_day_sums AS
SELECT user_id, day, api_key_id, action, model, provider, entries, requests, prompt_tokens, completion_tokens, cost, first_at, last_at
FROM activity_daily
UNION ALL
SELECT user_id, (created_at AT TIME ZONE 'UTC')::date, api_key_id, 'chat_completion', model, provider, 1, 1, prompt_tokens,
    completion_tokens, cost, created_at, created_at
FROM unfolded_calls;

CREATE VIEW activity_key_sums AS
SELECT api_key_id, user_id, requests, prompt_tokens, completion_tokens, cost, last_request_at FROM activity_totals
UNION ALL
SELECT api_key_id, user_id, 1, prompt_tokens, completion_tokens, cost, created_at FROM unfolded_calls;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tollgate_app') THEN
        GRANT SELECT, INSERT, DELETE ON activity TO tollgate_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON activity_folds TO tollgate_app;
        GRANT SELECT ON unfolded_calls, activity_day_sums, activity_key_sums TO tollgate_app;
    END IF;
END $$;
