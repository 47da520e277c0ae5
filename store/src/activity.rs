//! Tables `activity` and `activity_batches`: what users did, for their activity page.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use tollgate_domain::UserId;
use uuid::Uuid;

/// One line of the activity page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityRow {
    pub user: UserId,
    /// `chat_completion`, `session_created`, …: at most 100 characters.
    pub action: String,
    /// A JSON object as text.
    pub details: String,
    pub at: DateTime<Utc>,
}

/// Writes a batch in one statement. A batch that has landed before is left out, whoever repeats it.
///
/// # Errors
/// As all of the store; `Query` when a row's details are no JSON that `jsonb` takes.
pub async fn insert_batch(store: &Store, id: Uuid, at: DateTime<Utc>, rows: &[ActivityRow]) -> Result<(), StoreError> {
    let users: Vec<i64> = rows.iter().map(|row| row.user.0).collect();
    let actions: Vec<&str> = rows.iter().map(|row| row.action.as_str()).collect();
    let details: Vec<&str> = rows.iter().map(|row| row.details.as_str()).collect();
    let times: Vec<DateTime<Utc>> = rows.iter().map(|row| row.at).collect();
    let mut connection = store.get().await?;
    // Mutant: without `, landed` a repeated batch is written twice, and `a_batch_that_is_repeated_lands_once` is red.
    sql_query(
        "WITH landed AS (INSERT INTO activity_batches (id, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id)
         INSERT INTO activity (user_id, action, details, created_at)
         SELECT row.user_id, row.action, row.details::jsonb, row.created_at
         FROM UNNEST($3, $4, $5, $6) AS row (user_id, action, details, created_at), landed",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<Timestamptz, _>(at)
    .bind::<Array<BigInt>, _>(users)
    .bind::<Array<Text>, _>(actions)
    .bind::<Array<Text>, _>(details)
    .bind::<Array<Timestamptz>, _>(times)
    .execute(&mut connection)
    .await?;
    Ok(())
}

/// Forgets which batches have landed before that time. Answers how many.
///
/// # Errors
/// As all of the store.
pub async fn forget_batches(store: &Store, before: DateTime<Utc>) -> Result<usize, StoreError> {
    let mut connection = store.get().await?;
    let delete = sql_query("DELETE FROM activity_batches WHERE created_at < $1").bind::<Timestamptz, _>(before);
    Ok(delete.execute(&mut connection).await?)
}
