-- One batch of the activity log with the sums that it changes, in one statement. The binds (?) are columns of arrays, in the
-- order of `batch.rs`. Sums come sorted, and so are locked in one order by all replicas.
-- Mutant: without `landed` at the sums a repeated batch is summed twice: `a_batch_that_is_repeated_lands_once` is red.
WITH landed AS (
    INSERT INTO activity_batches (id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING id
),
written AS (
    INSERT INTO activity_events (user_id, action, model, provider, details, created_at)
    SELECT row.user_id, row.action, row.model, row.provider, row.details::jsonb, row.created_at
    FROM unnest(?, ?, ?, ?, ?, ?) AS row (user_id, action, model, provider, details, created_at), landed
),
summed AS (
    INSERT INTO activity_daily AS daily
        (user_id, day, api_key_id, action, model, provider, entries, requests, prompt_tokens, completion_tokens, cost, first_at,
            last_at)
    SELECT day.user_id, day.day, day.api_key_id, day.action, day.model, day.provider, day.entries, day.requests, day.prompt_tokens,
        day.completion_tokens, day.cost, day.first_at, day.last_at
    FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WITH ORDINALITY
        AS day (user_id, day, api_key_id, action, model, provider, entries, requests, prompt_tokens, completion_tokens, cost,
            first_at, last_at, ordinal),
        landed
    ORDER BY day.ordinal
    ON CONFLICT (user_id, day, api_key_id, action, model, provider) DO UPDATE SET
        entries = daily.entries + excluded.entries,
        requests = daily.requests + excluded.requests,
        prompt_tokens = daily.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = daily.completion_tokens + excluded.completion_tokens,
        cost = daily.cost + excluded.cost,
        first_at = least(daily.first_at, excluded.first_at),
        last_at = greatest(daily.last_at, excluded.last_at)
)
INSERT INTO activity_totals AS total
SELECT key.api_key_id, key.user_id, key.requests, key.prompt_tokens, key.completion_tokens, key.cost, key.last_request_at
FROM unnest(?, ?, ?, ?, ?, ?, ?) WITH ORDINALITY
    AS key (api_key_id, user_id, requests, prompt_tokens, completion_tokens, cost, last_request_at, ordinal), landed
ORDER BY key.ordinal
ON CONFLICT (api_key_id) DO UPDATE SET
    requests = total.requests + excluded.requests,
    prompt_tokens = total.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = total.completion_tokens + excluded.completion_tokens,
    cost = total.cost + excluded.cost,
    last_request_at = greatest(total.last_request_at, excluded.last_request_at)
