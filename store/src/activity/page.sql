-- A page of the log: events and calls, day by day, newest first. $1 user; $2, $3, $4 for each day its first time and what is not
-- reached any more (time, number); $5, $6, $7 model, provider and action, or NULL; $8 rows, $9 how many before them are left out.
-- $10 and $11 the first and the last time of all of them, for PostgreSQL to leave whole months out. A day between two of them is not
-- looked at. Events of a day have one upper bound for the index: of a time and a pair it would take the higher one, and read from there.
WITH chosen AS (
    SELECT day.place, line.*
    FROM unnest($2, $3, $4) WITH ORDINALITY AS day (first_at, end_at, end_id, place)
    CROSS JOIN LATERAL (
        (SELECT id, action, model, provider, details, NULL::usage_records AS call, created_at
        FROM activity_events
        WHERE user_id = $1 AND created_at >= day.first_at AND (created_at, id) < (day.end_at, day.end_id)
            AND ($5 IS NULL OR model = $5) AND ($6 IS NULL OR provider = $6) AND ($7 IS NULL OR action = $7)
        ORDER BY created_at DESC, id DESC LIMIT $8 + $9)
        UNION ALL
        (SELECT call_number(u.hold_id), 'chat_completion', u.model, u.provider, NULL, u, u.created_at
        FROM usage_records u
        WHERE u.user_id = $1 AND u.provider <> '' AND u.created_at BETWEEN $10 AND $11 AND u.created_at >= day.first_at AND u.created_at <= day.end_at
            AND (u.created_at, call_number(u.hold_id)) < (day.end_at, day.end_id)
            AND ($5 IS NULL OR u.model = $5) AND ($6 IS NULL OR u.provider = $6) AND ($7 IS NULL OR $7 = 'chat_completion')
        ORDER BY u.created_at DESC, call_number(u.hold_id) DESC LIMIT $8 + $9)
    ) AS line
    ORDER BY day.place, line.created_at DESC, line.id DESC LIMIT $8 OFFSET $9
)
SELECT id, action, model, provider, created_at,
    coalesce(details, call_details(call, (SELECT privy_user_id FROM users WHERE id = $1)))::text AS details
FROM chosen ORDER BY place, created_at DESC, id DESC
