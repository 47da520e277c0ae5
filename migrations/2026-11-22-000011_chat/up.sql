-- Chat sessions, their messages, and the words by which they are found.

CREATE TABLE chat_sessions (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id         bigint       NOT NULL REFERENCES users ON DELETE CASCADE,
    title           varchar(255) NOT NULL,
    model           varchar(100) NOT NULL,
    -- False: deleted by its user.
    is_active       boolean      NOT NULL DEFAULT true,
    -- Sums of its messages, written with them.
    message_count   bigint       NOT NULL DEFAULT 0,
    token_count     bigint       NOT NULL DEFAULT 0,
    last_message_at timestamptz,
    -- The completion whose two messages were written last: a repeated write of them has no effect.
    last_turn       uuid,
    created_at      timestamptz  NOT NULL,
    updated_at      timestamptz  NOT NULL
);
CREATE INDEX chat_sessions_of_user ON chat_sessions (user_id, updated_at DESC, id DESC) WHERE is_active;
-- For the foreign key: the other index leaves out the deleted ones.
CREATE INDEX chat_sessions_deleted ON chat_sessions (user_id) WHERE NOT is_active;

CREATE TABLE chat_messages (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id bigint      NOT NULL REFERENCES chat_sessions ON DELETE CASCADE,
    role       varchar(20) NOT NULL CHECK (role IN ('user', 'assistant')),
    content    text        NOT NULL,
    model      varchar(100),
    tokens     bigint      NOT NULL DEFAULT 0 CHECK (tokens >= 0),
    created_at timestamptz NOT NULL
);
CREATE INDEX chat_messages_of_session ON chat_messages (session_id, created_at, id);

-- What stands in a title or a message, a table of its own: a search reads neither the messages' texts nor do pages of
-- messages read words. The server makes the words, each behind its user's id, so that a search meets no other user's.
CREATE TABLE chat_search (
    session_id bigint   NOT NULL REFERENCES chat_sessions ON DELETE CASCADE,
    -- 0: the session's title.
    message_id bigint   NOT NULL,
    words      tsvector NOT NULL,
    PRIMARY KEY (session_id, message_id)
);
-- A search reads all that is pending in the index: a little of it makes writing cheap, the default of 4 MB makes searching slow.
CREATE INDEX chat_search_words ON chat_search USING gin (words) WITH (gin_pending_list_limit = 256);

-- A user's sessions that are not deleted, summed in the statements that change them.
CREATE TABLE chat_totals (
    user_id  bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    sessions bigint NOT NULL,
    messages bigint NOT NULL,
    tokens   bigint NOT NULL
) WITH (fillfactor = 50);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tollgate_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON chat_sessions, chat_messages, chat_search, chat_totals TO tollgate_app;
    END IF;
END $$;
