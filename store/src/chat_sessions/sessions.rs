//! The sessions themselves.

use super::words;
use crate::schema::{chat_sessions, chat_totals};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use tollgate_domain::{SessionId, UserId};

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, QueryableByName)]
#[diesel(table_name = chat_sessions)]
pub struct SessionRow {
    pub id: i64,
    pub user_id: i64,
    pub title: String,
    pub model: String,
    pub is_active: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A session to be made. `title` up to 255 characters, `model` up to 100.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    pub user: UserId,
    pub title: &'a str,
    pub model: &'a str,
}

/// A user's sessions that are not deleted, and what stands in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = chat_totals)]
pub struct Totals {
    pub sessions: i64,
    pub messages: i64,
    pub tokens: i64,
}

/// Makes a session.
///
/// # Errors
/// As for every statement.
pub async fn create(store: &Store, session: NewSession<'_>, now: DateTime<Utc>) -> Result<SessionRow, StoreError> {
    let mut connection = store.get().await?;
    let created = diesel::sql_query(
        "WITH created AS (
             INSERT INTO chat_sessions (user_id, title, model, created_at, updated_at) VALUES ($1, $2, $3, $4, $4) RETURNING *
         ), indexed AS (
             INSERT INTO chat_search (session_id, message_id, words) SELECT id, 0, $5::tsvector FROM created
         ), summed AS (
             INSERT INTO chat_totals AS total SELECT user_id, 1, 0, 0 FROM created
             ON CONFLICT (user_id) DO UPDATE SET sessions = total.sessions + 1
         )
         SELECT id, user_id, title, model, is_active, created_at, updated_at FROM created",
    );
    let created = created
        .bind::<BigInt, _>(session.user.0)
        .bind::<Text, _>(session.title)
        .bind::<Text, _>(session.model)
        .bind::<Timestamptz, _>(now)
        .bind::<Text, _>(words::document(session.user, session.title));
    Ok(created.get_result(&mut connection).await?)
}

/// The user's session.
///
/// # Errors
/// As for every statement.
pub async fn find(store: &Store, user: UserId, session: SessionId) -> Result<Option<SessionRow>, StoreError> {
    let mut connection = store.get().await?;
    let found = chat_sessions::table
        .filter(chat_sessions::id.eq(session.0).and(chat_sessions::user_id.eq(user.0)).and(chat_sessions::is_active))
        .select(SessionRow::as_select());
    Ok(found.first(&mut connection).await.optional()?)
}

/// A page of the user's sessions, the one that changed last first.
///
/// # Errors
/// As for every statement.
pub async fn list(store: &Store, user: UserId, limit: i64, offset: i64) -> Result<Vec<SessionRow>, StoreError> {
    let mut connection = store.get().await?;
    let page = chat_sessions::table
        .filter(chat_sessions::user_id.eq(user.0).and(chat_sessions::is_active))
        .order((chat_sessions::updated_at.desc(), chat_sessions::id.desc()))
        .limit(limit)
        .offset(offset)
        .select(SessionRow::as_select());
    Ok(page.load(&mut connection).await?)
}

/// Gives the user's session another title, another model, or both. `None`: there is no such session.
///
/// # Errors
/// As for every statement.
pub async fn change(
    store: &Store,
    user: UserId,
    session: SessionId,
    title: Option<&str>,
    model: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Option<SessionRow>, StoreError> {
    let mut connection = store.get().await?;
    let changed = diesel::sql_query(
        "WITH changed AS (
             UPDATE chat_sessions SET title = coalesce($3, title), model = coalesce($4, model),
                 updated_at = greatest(updated_at, $5)
             WHERE id = $1 AND user_id = $2 AND is_active RETURNING *
         ), indexed AS (
             INSERT INTO chat_search (session_id, message_id, words) SELECT id, 0, $6::tsvector FROM changed WHERE $3 IS NOT NULL
             ON CONFLICT (session_id, message_id) DO UPDATE SET words = excluded.words
         )
         SELECT id, user_id, title, model, is_active, created_at, updated_at FROM changed",
    );
    let changed = changed
        .bind::<BigInt, _>(session.0)
        .bind::<BigInt, _>(user.0)
        .bind::<Nullable<Text>, _>(title)
        .bind::<Nullable<Text>, _>(model)
        .bind::<Timestamptz, _>(now)
        .bind::<Text, _>(words::document(user, title.unwrap_or_default()));
    Ok(changed.get_result(&mut connection).await.optional()?)
}

/// Deletes the user's session: it stays in the table, and is found no more. `false`: there is no such session.
///
/// # Errors
/// As for every statement.
pub async fn delete(store: &Store, user: UserId, session: SessionId, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let mut connection = store.get().await?;
    let deleted = diesel::sql_query(
        "WITH deleted AS (
             UPDATE chat_sessions SET is_active = false, updated_at = greatest(updated_at, $3)
             WHERE id = $1 AND user_id = $2 AND is_active RETURNING user_id, message_count, token_count
         )
         UPDATE chat_totals total SET sessions = total.sessions - 1, messages = total.messages - deleted.message_count,
             tokens = total.tokens - deleted.token_count
         FROM deleted WHERE total.user_id = deleted.user_id",
    );
    let deleted = deleted.bind::<BigInt, _>(session.0).bind::<BigInt, _>(user.0).bind::<Timestamptz, _>(now);
    Ok(deleted.execute(&mut connection).await? > 0)
}

/// The user's sums.
///
/// # Errors
/// As for every statement.
pub async fn totals(store: &Store, user: UserId) -> Result<Totals, StoreError> {
    let mut connection = store.get().await?;
    let totals = chat_totals::table.find(user.0).select(Totals::as_select()).first(&mut connection).await.optional()?;
    Ok(totals.unwrap_or_default())
}
