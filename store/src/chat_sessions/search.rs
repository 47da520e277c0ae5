//! Search by words, through the index `chat_search_words`.
//!
//! A word that stands in few messages is looked up there, and its sessions are sorted. One that stands in very many is not: the
//! newest sessions are asked one after the other whether they have it, and soon enough of them do.

use super::{SessionRow, words};
use crate::schema::chat_sessions;
use crate::{Store, StoreError};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use tollgate_domain::UserId;

/// So many titles and messages are looked up and sorted: some ten milliseconds.
const HITS_MAX: i64 = 20_000;

/// What the index has.
#[derive(QueryableByName)]
struct Hits {
    /// More than are looked up.
    #[diesel(sql_type = Bool)]
    is_common: bool,
    #[diesel(sql_type = Array<BigInt>)]
    sessions: Vec<i64>,
}

/// The user's sessions with all words of the text in their title or in one of their messages, the one that changed last first.
/// A text without words finds nothing.
///
/// # Errors
/// As for every statement.
pub async fn search(store: &Store, user: UserId, text: &str, limit: i64) -> Result<Vec<SessionRow>, StoreError> {
    let Some(wanted) = words::query(user, text) else { return Ok(Vec::new()) };
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            let hits = look_up(connection, user, &wanted, limit).await?;
            match hits.is_common {
                true => Ok(ask_each(connection, user, &wanted, limit).await?),
                false => Ok(sorted(connection, &hits.sessions).await?),
            }
        })
        .await
}

async fn look_up(connection: &mut AsyncPgConnection, user: UserId, wanted: &str, limit: i64) -> QueryResult<Hits> {
    // The planner takes a user with a large part of all messages for a reason to read them all.
    diesel::sql_query("SET LOCAL enable_seqscan = off").execute(connection).await?;
    let look_up = diesel::sql_query(
        "WITH hits AS MATERIALIZED (SELECT session_id FROM chat_search WHERE words @@ $2::tsquery LIMIT $4 + 1),
             counted AS (SELECT count(*) AS hits FROM hits)
         SELECT hits > $4 AS is_common, ARRAY(
             SELECT id FROM chat_sessions
             JOIN (SELECT DISTINCT session_id FROM hits WHERE (SELECT hits FROM counted) <= $4) found ON session_id = id
             WHERE user_id = $1 AND is_active ORDER BY updated_at DESC, id DESC LIMIT $3) AS sessions
         FROM counted",
    );
    let look_up = look_up.bind::<BigInt, _>(user.0).bind::<Text, _>(wanted).bind::<BigInt, _>(limit);
    look_up.bind::<BigInt, _>(HITS_MAX).get_result(connection).await
}

async fn sorted(connection: &mut AsyncPgConnection, sessions: &[i64]) -> QueryResult<Vec<SessionRow>> {
    let rows = chat_sessions::table
        .filter(chat_sessions::id.eq_any(sessions))
        .order((chat_sessions::updated_at.desc(), chat_sessions::id.desc()))
        .select(SessionRow::as_select());
    rows.load(connection).await
}

async fn ask_each(connection: &mut AsyncPgConnection, user: UserId, wanted: &str, limit: i64) -> QueryResult<Vec<SessionRow>> {
    // Each session by its key: without this it would be by the words' index, whole, for each.
    diesel::sql_query("SET LOCAL enable_bitmapscan = off").execute(connection).await?;
    let ask = diesel::sql_query(
        "SELECT id, user_id, title, model, is_active, created_at, updated_at
         FROM chat_sessions
         CROSS JOIN LATERAL (SELECT FROM chat_search WHERE session_id = id AND words @@ $2::tsquery LIMIT 1) found
         WHERE user_id = $1 AND is_active ORDER BY updated_at DESC, id DESC LIMIT $3",
    );
    let ask = ask.bind::<BigInt, _>(user.0).bind::<Text, _>(wanted).bind::<BigInt, _>(limit);
    ask.load(connection).await
}
