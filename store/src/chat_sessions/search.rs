//! Search by words, through the index `chat_search_words`.

use super::{SessionRow, words};
use crate::{Store, StoreError};
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncConnection, RunQueryDsl};
use tollgate_domain::UserId;

/// The user's sessions with all words of the text in their title or in one of their messages, the one that changed last first.
/// A text without words finds nothing.
///
/// # Errors
/// As for every statement.
pub async fn search(store: &Store, user: UserId, text: &str, limit: i64) -> Result<Vec<SessionRow>, StoreError> {
    let Some(wanted) = words::query(user, text) else { return Ok(Vec::new()) };
    let find = diesel::sql_query(
        "SELECT id, user_id, title, model, is_active, created_at, updated_at
         FROM (SELECT DISTINCT session_id FROM chat_search WHERE words @@ $2::tsquery) found
         JOIN chat_sessions ON id = session_id
         WHERE user_id = $1 AND is_active ORDER BY updated_at DESC, id DESC LIMIT $3",
    );
    let find = find.bind::<BigInt, _>(user.0).bind::<Text, _>(wanted).bind::<BigInt, _>(limit);
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            // The planner takes a user with a large part of all messages for a reason to read them all.
            diesel::sql_query("SET LOCAL enable_seqscan = off").execute(connection).await?;
            Ok(find.load(connection).await?)
        })
        .await
}
