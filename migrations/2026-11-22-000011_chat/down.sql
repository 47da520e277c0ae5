DROP TABLE chat_search, chat_messages, chat_totals, chat_sessions;
