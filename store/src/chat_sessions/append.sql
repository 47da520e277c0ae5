-- Messages at the end of a session, with their words and the sums that they change, in one statement. The binds (?) are in the
-- order of `messages.rs`. A session that is not there, is another user's, or has this very turn already gets nothing.
WITH given AS (
    SELECT * FROM unnest(?, ?, ?, ?, ?) WITH ORDINALITY AS message (role, content, model, tokens, words, ordinal)
),
session AS (
    UPDATE chat_sessions SET
        message_count = message_count + added.messages,
        token_count = token_count + added.tokens,
        updated_at = greatest(updated_at, added.now),
        last_message_at = greatest(last_message_at, coalesce(added.at, added.now)),
        last_turn = coalesce(added.turn, last_turn)
    FROM (
        SELECT count(*) AS messages, sum(tokens)::bigint AS tokens, ? AS now, ? AS at, ? AS turn FROM given
    ) added
    WHERE id = ? AND user_id = ? AND is_active AND (added.turn IS NULL OR added.turn IS DISTINCT FROM last_turn)
    RETURNING chat_sessions.id, user_id, last_message_at, added.messages, added.tokens, added.at
),
-- Whatever the replicas' clocks say, a message stands behind those before it.
written AS (
    INSERT INTO chat_messages (session_id, role, content, model, tokens, created_at)
    SELECT session.id, given.role, given.content, given.model, given.tokens, coalesce(session.at, session.last_message_at)
    FROM given, session ORDER BY given.ordinal
    RETURNING id, session_id, created_at
),
indexed AS (
    INSERT INTO chat_search (session_id, message_id, words)
    SELECT numbered.session_id, numbered.id, given.words::tsvector
    FROM (SELECT id, session_id, row_number() OVER (ORDER BY id) AS ordinal FROM written) numbered JOIN given USING (ordinal)
    WHERE given.words <> ''
),
summed AS (
    UPDATE chat_totals total SET messages = total.messages + session.messages, tokens = total.tokens + session.tokens
    FROM session WHERE total.user_id = session.user_id
)
SELECT id, created_at FROM written ORDER BY id
