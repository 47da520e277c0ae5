//! The sums, as pages read them. They are of chat completions only.

use crate::schema::activity_totals;
use crate::{Store, StoreError};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Nullable, Text};
use diesel_async::RunQueryDsl;
use tollgate_domain::{KeyId, UserId};

/// The calls of one UTC day with one model. `cost` in nano-dollars.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct DaySum {
    #[diesel(sql_type = Date)]
    pub day: NaiveDate,
    #[diesel(sql_type = Text)]
    pub model: String,
    #[diesel(sql_type = Text)]
    pub provider: String,
    #[diesel(sql_type = BigInt)]
    pub requests: i64,
    #[diesel(sql_type = BigInt)]
    pub tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub cost: i64,
}

/// All calls of a key. `cost` in nano-dollars.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = activity_totals)]
pub struct KeySum {
    pub api_key_id: i64,
    pub requests: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub cost: i64,
    pub last_request_at: DateTime<Utc>,
}

/// A user's calls by day, model and provider, from the first day to the last, both included; of one key only if it is given.
///
/// # Errors
/// As for every statement.
pub async fn daily(
    store: &Store,
    user: UserId,
    key: Option<KeyId>,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Vec<DaySum>, StoreError> {
    let mut connection = store.get().await?;
    let sums = diesel::sql_query(
        "SELECT day, model, provider, sum(requests)::bigint AS requests,
             sum(prompt_tokens + completion_tokens)::bigint AS tokens, sum(cost)::bigint AS cost
         FROM activity_daily
         WHERE user_id = $1 AND day BETWEEN $2 AND $3 AND ($4 IS NULL OR api_key_id = $4)
         GROUP BY day, model, provider HAVING sum(requests) > 0 ORDER BY day, model, provider",
    )
    .bind::<BigInt, _>(user.0)
    .bind::<Date, _>(first)
    .bind::<Date, _>(last)
    .bind::<Nullable<BigInt>, _>(key.map(|key| key.0));
    Ok(sums.load(&mut connection).await?)
}

/// What each of the user's keys has used in all; a key that made no call is left out.
///
/// # Errors
/// As for every statement.
pub async fn key_sums(store: &Store, user: UserId) -> Result<Vec<KeySum>, StoreError> {
    let mut connection = store.get().await?;
    let sums = activity_totals::table.filter(activity_totals::user_id.eq(user.0)).select(KeySum::as_select());
    Ok(sums.load(&mut connection).await?)
}
