//! Table `failed_attempts`: requests to a model gateway that came to nothing.

use crate::schema::failed_attempts::dsl;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::{ExpressionMethods, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use tollgate_domain::{HoldId, UserId};
use uuid::Uuid;

/// One request that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = crate::schema::failed_attempts)]
pub struct FailedAttempt {
    /// The hold's id, as in `usage_records`.
    pub generation_id: Uuid,
    /// Of the generation's attempts, from 1.
    pub ordinal: i16,
    pub user_id: i64,
    pub gateway: String,
    /// The model's id in the catalogue.
    pub model: String,
    /// `connection`, `timeout`, `status`, `malformed` or `too_large`.
    pub kind: String,
    /// HTTP's, or the one that an error under 200 tells.
    pub status: Option<i16>,
    pub latency_ms: i32,
    /// When it failed.
    pub created_at: DateTime<Utc>,
}

/// Writes a batch in one statement. Rows that have landed before are left out, so a batch may be repeated.
///
/// # Errors
/// As all of the store.
pub async fn insert_batch(store: &Store, rows: &[FailedAttempt]) -> Result<(), StoreError> {
    let texts = |text: fn(&FailedAttempt) -> &str| rows.iter().map(text).collect::<Vec<&str>>();
    let mut connection = store.get().await?;
    sql_query(
        "INSERT INTO failed_attempts (generation_id, ordinal, user_id, gateway, model, kind, status, latency_ms, created_at)
         SELECT * FROM UNNEST($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
    )
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.generation_id).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(rows.iter().map(|row| row.ordinal).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.user_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(texts(|row| &row.gateway))
    .bind::<Array<Text>, _>(texts(|row| &row.model))
    .bind::<Array<Text>, _>(texts(|row| &row.kind))
    .bind::<Array<Nullable<SmallInt>>, _>(rows.iter().map(|row| row.status).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|row| row.latency_ms).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.created_at).collect::<Vec<_>>())
    .execute(&mut connection)
    .await?;
    Ok(())
}

/// What was tried in vain for a user's generation, in order. They are written behind the call's back: a moment later they
/// are there.
///
/// # Errors
/// As all of the store.
pub async fn of_generation(store: &Store, user: UserId, generation: HoldId) -> Result<Vec<FailedAttempt>, StoreError> {
    let mut connection = store.get().await?;
    let rows = dsl::failed_attempts
        .filter(dsl::generation_id.eq(generation.0))
        .filter(dsl::user_id.eq(user.0))
        .order(dsl::ordinal.asc())
        .select(FailedAttempt::as_select());
    Ok(rows.load(&mut connection).await?)
}

/// Forgets up to `limit` rows of before that time. Answers how many.
///
/// # Errors
/// As all of the store.
pub async fn forget(store: &Store, before: DateTime<Utc>, limit: i64) -> Result<usize, StoreError> {
    let mut connection = store.get().await?;
    let delete = sql_query(
        "DELETE FROM failed_attempts WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM failed_attempts WHERE created_at < $1 ORDER BY created_at LIMIT $2))",
    );
    Ok(delete.bind::<Timestamptz, _>(before).bind::<BigInt, _>(limit).execute(&mut connection).await?)
}
