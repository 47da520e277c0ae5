-- A session's newest messages before a place: at most so many, and of those the newest that fit into so many bytes, at least one. The
-- binds (?) are in the order of `messages.rs`. A long text's size is known without reading the text.
WITH newest AS (
    SELECT id, session_id, role, content, model, tokens, created_at
    FROM chat_messages WHERE session_id = ? AND (created_at, id) < (?, ?)
    ORDER BY created_at DESC, id DESC LIMIT ? + 1
),
weighed AS (
    SELECT *, row_number() OVER newest_first AS ordinal, count(*) OVER () AS found,
        sum(octet_length(content)) OVER newest_first AS bytes
    FROM newest WINDOW newest_first AS (ORDER BY created_at DESC, id DESC)
)
SELECT id, session_id, role, content, model, tokens, created_at, found
FROM weighed WHERE ordinal <= ? AND (bytes <= ? OR ordinal = 1) ORDER BY ordinal
