//! What is forgotten in time, a few rows at a go.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::sql_query;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;

/// Forgets up to `limit` rows from before that time; their sums stay. Answers how many.
///
/// Ids grow with time, so the oldest rows are the first: only those are looked at. Rows that landed late, out of a journal, go
/// when those before them have.
///
/// # Errors
/// As all of the store.
pub async fn forget_rows(store: &Store, before: DateTime<Utc>, limit: i64) -> Result<usize, StoreError> {
    let mut connection = store.get().await?;
    let delete = sql_query(
        "DELETE FROM activity_events WHERE id IN (
             SELECT id FROM (SELECT id, created_at FROM activity_events ORDER BY id LIMIT $2) oldest WHERE created_at < $1)",
    );
    Ok(delete.bind::<Timestamptz, _>(before).bind::<BigInt, _>(limit).execute(&mut connection).await?)
}

/// Forgets which batches have landed before that time, up to `limit` of them. Answers how many.
///
/// # Errors
/// As all of the store.
pub async fn forget_batches(store: &Store, before: DateTime<Utc>, limit: i64) -> Result<usize, StoreError> {
    let mut connection = store.get().await?;
    let delete = sql_query(
        "DELETE FROM activity_batches WHERE id IN (
             SELECT id FROM activity_batches WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
    );
    Ok(delete.bind::<Timestamptz, _>(before).bind::<BigInt, _>(limit).execute(&mut connection).await?)
}
