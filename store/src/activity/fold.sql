-- Calls of slot $1 after link $2 and up to link $3, of times from $4 to $5, into the sums. Sorted as `batch.sql` has them, so that they
-- are locked in one order by all. A day begins at a midnight of UTC, any of which will do: no zone is looked up for each call.
WITH calls AS MATERIALIZED (
    SELECT user_id, date_bin('1 day', created_at, '2000-01-01 00:00:00Z') AS day, api_key_id, model, provider, count(*) AS requests,
        sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cost) AS cost,
        min(created_at) AS first_at, max(created_at) AS last_at
    FROM usage_records
    WHERE slot = $1 AND batch > $2 AND batch <= $3 AND created_at BETWEEN $4 AND $5 AND provider <> ''
    GROUP BY user_id, day, api_key_id, model, provider
),
days AS (
    INSERT INTO activity_daily AS daily
        (user_id, day, api_key_id, action, model, provider, entries, requests, prompt_tokens, completion_tokens, cost, first_at,
            last_at)
    SELECT user_id, (day AT TIME ZONE 'UTC')::date, api_key_id, 'chat_completion', model, provider, requests, requests, prompt_tokens,
        completion_tokens, cost, first_at, last_at
    FROM calls ORDER BY user_id, day, api_key_id, model COLLATE "C", provider COLLATE "C"
    ON CONFLICT (user_id, day, api_key_id, action, model, provider) DO UPDATE SET
        entries = daily.entries + excluded.entries,
        requests = daily.requests + excluded.requests,
        prompt_tokens = daily.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = daily.completion_tokens + excluded.completion_tokens,
        cost = daily.cost + excluded.cost,
        first_at = least(daily.first_at, excluded.first_at),
        last_at = greatest(daily.last_at, excluded.last_at)
)
INSERT INTO activity_totals AS total (api_key_id, user_id, requests, prompt_tokens, completion_tokens, cost, last_request_at)
SELECT api_key_id, min(user_id), sum(requests), sum(prompt_tokens), sum(completion_tokens), sum(cost), max(last_at)
FROM calls GROUP BY api_key_id ORDER BY api_key_id
ON CONFLICT (api_key_id) DO UPDATE SET
    requests = total.requests + excluded.requests,
    prompt_tokens = total.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = total.completion_tokens + excluded.completion_tokens,
    cost = total.cost + excluded.cost,
    last_request_at = greatest(total.last_request_at, excluded.last_request_at)
