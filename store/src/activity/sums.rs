//! The sums, as pages read them: of chat completions, unless another action is asked for.

use crate::{Store, StoreError};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use tollgate_domain::{KeyId, UserId};

/// What calls came to. `cost` in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub requests: i64,
    pub tokens: i64,
    pub cost: i64,
}

impl std::iter::Sum for Sum {
    fn sum<I: Iterator<Item = Self>>(sums: I) -> Self {
        sums.fold(Self::default(), |a, b| Self {
            requests: a.requests.saturating_add(b.requests),
            tokens: a.tokens.saturating_add(b.tokens),
            cost: a.cost.saturating_add(b.cost),
        })
    }
}

/// The same calls, summed in three ways.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// UTC days with calls, oldest first.
    pub days: Vec<(NaiveDate, Sum)>,
    /// By name.
    pub models: Vec<(String, Sum)>,
    pub providers: Vec<(String, Sum)>,
}

impl Sums {
    /// Of that day and those after it.
    #[must_use]
    pub fn since(&self, first: NaiveDate) -> Sum {
        self.days.iter().filter(|(day, _)| *day >= first).map(|(_, sum)| *sum).sum()
    }
}

/// A sum of one of the three ways: by what is not NULL.
#[derive(QueryableByName)]
struct Part {
    #[diesel(sql_type = Nullable<Date>)]
    day: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<Text>)]
    model: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    provider: Option<String>,
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    tokens: i64,
    #[diesel(sql_type = BigInt)]
    cost: i64,
}

/// A key's calls of one UTC day. `cost` in nano-dollars.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct KeyDay {
    #[diesel(sql_type = BigInt)]
    pub api_key_id: i64,
    #[diesel(sql_type = BigInt)]
    pub requests: i64,
    #[diesel(sql_type = BigInt)]
    pub tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub cost: i64,
}

/// All calls of a key. `cost` in nano-dollars.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct KeySum {
    #[diesel(sql_type = BigInt)]
    pub api_key_id: i64,
    #[diesel(sql_type = BigInt)]
    pub requests: i64,
    #[diesel(sql_type = BigInt)]
    pub prompt_tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub completion_tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub cost: i64,
    #[diesel(sql_type = Timestamptz)]
    pub last_request_at: DateTime<Utc>,
}

/// Which calls are summed, or which other entries of the log.
#[derive(Clone, Debug)]
pub struct SumsFilter {
    pub user: UserId,
    pub key: Option<KeyId>,
    /// UTC days, both included.
    pub first: NaiveDate,
    pub last: NaiveDate,
    /// Exact; `None` for all.
    pub model: Option<String>,
    pub provider: Option<String>,
    /// `None`: chat completions. Of any other action entries are counted, which have no tokens and cost nothing.
    pub action: Option<String>,
}

/// A user's calls from the first UTC day to the last, both included; of one key only if it is given.
///
/// # Errors
/// As for every statement.
pub async fn sums(
    store: &Store,
    user: UserId,
    key: Option<KeyId>,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Sums, StoreError> {
    sums_of(store, &SumsFilter { user, key, first, last, model: None, provider: None, action: None }).await
}

/// What the filter finds.
///
/// # Errors
/// As for every statement.
pub async fn sums_of(store: &Store, filter: &SumsFilter) -> Result<Sums, StoreError> {
    let mut connection = store.get().await?;
    let parts: Vec<Part> = diesel::sql_query(
        "SELECT day, model, provider, sum(CASE action WHEN 'chat_completion' THEN requests ELSE entries END)::bigint AS requests,
             sum(prompt_tokens + completion_tokens)::bigint AS tokens, sum(cost)::bigint AS cost
         FROM activity_day_sums
         WHERE user_id = $1 AND day BETWEEN $2 AND $3 AND ($4 IS NULL OR api_key_id = $4)
             AND ($5 IS NULL OR model = $5) AND ($6 IS NULL OR provider = $6) AND action = $7
         GROUP BY GROUPING SETS (day, model, provider) ORDER BY day, model, provider",
    )
    .bind::<BigInt, _>(filter.user.0)
    .bind::<Date, _>(filter.first)
    .bind::<Date, _>(filter.last)
    .bind::<Nullable<BigInt>, _>(filter.key.map(|key| key.0))
    .bind::<Nullable<Text>, _>(filter.model.as_deref())
    .bind::<Nullable<Text>, _>(filter.provider.as_deref())
    .bind::<Text, _>(filter.action.as_deref().unwrap_or(super::CHAT_COMPLETION))
    .load(&mut connection)
    .await?;
    let mut sums = Sums::default();
    for Part { day, model, provider, requests, tokens, cost } in parts {
        let sum = Sum { requests, tokens, cost };
        sums.days.extend(day.map(|day| (day, sum)));
        sums.models.extend(model.map(|model| (model, sum)));
        sums.providers.extend(provider.map(|provider| (provider, sum)));
    }
    Ok(sums)
}

/// What each of the user's keys has used in all; a key that made no call is left out.
///
/// # Errors
/// As for every statement.
pub async fn key_sums(store: &Store, user: UserId) -> Result<Vec<KeySum>, StoreError> {
    let mut connection = store.get().await?;
    let sums = diesel::sql_query(
        "SELECT api_key_id, sum(requests)::bigint AS requests, sum(prompt_tokens)::bigint AS prompt_tokens,
             sum(completion_tokens)::bigint AS completion_tokens, sum(cost)::bigint AS cost, max(last_request_at) AS last_request_at
         FROM activity_key_sums WHERE user_id = $1 GROUP BY api_key_id",
    );
    Ok(sums.bind::<BigInt, _>(user.0).load(&mut connection).await?)
}

/// What each of the user's keys has used on that UTC day; a key that made no call is left out.
///
/// # Errors
/// As for every statement.
pub async fn key_days(store: &Store, user: UserId, day: NaiveDate) -> Result<Vec<KeyDay>, StoreError> {
    let mut connection = store.get().await?;
    let sums = diesel::sql_query(
        "SELECT api_key_id, sum(requests)::bigint AS requests, sum(prompt_tokens + completion_tokens)::bigint AS tokens,
             sum(cost)::bigint AS cost
         FROM activity_day_sums WHERE user_id = $1 AND day = $2 GROUP BY api_key_id",
    );
    Ok(sums.bind::<BigInt, _>(user.0).bind::<Date, _>(day).load(&mut connection).await?)
}
