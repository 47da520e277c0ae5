//! What administrators see of all users: read from balances and folded sums, never from history; so calls show within seconds.

use crate::{Store, StoreError};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;

/// A user and what they have. Nano-dollars.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct UserBalance {
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    #[diesel(sql_type = Text)]
    pub username: String,
    #[diesel(sql_type = Text)]
    pub email: String,
    #[diesel(sql_type = Bool)]
    pub is_active: bool,
    #[diesel(sql_type = Text)]
    pub subscription_status: String,
    /// Settled, reserved by calls under way, and owed (not negative).
    #[diesel(sql_type = BigInt)]
    pub posted: i64,
    #[diesel(sql_type = BigInt)]
    pub held: i64,
    #[diesel(sql_type = BigInt)]
    pub owed: i64,
    /// The keys as they are shown, the primary one first, then the oldest.
    #[diesel(sql_type = Array<Text>)]
    pub keys: Vec<String>,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub updated_at: DateTime<Utc>,
}

/// Users with an id above `after`, by id, at most `limit`.
///
/// # Errors
/// As for every statement.
pub async fn balances(store: &Store, after: i64, limit: i64) -> Result<Vec<UserBalance>, StoreError> {
    let mut connection = store.get().await?;
    let balances = diesel::sql_query(
        "SELECT u.id, u.username, u.email, u.is_active, u.subscription_status,
             coalesce(c.posted, 0) AS posted, coalesce(c.held, 0) AS held, coalesce(-d.posted, 0) AS owed,
             ARRAY(SELECT k.masked::text FROM api_keys k WHERE k.user_id = u.id ORDER BY k.is_primary DESC, k.id) AS keys,
             u.created_at, u.updated_at
         FROM (SELECT * FROM users WHERE id > $1 ORDER BY id LIMIT $2) u
         LEFT JOIN accounts c ON c.user_id = u.id AND c.kind = 'user' AND c.asset = 'usd'
         LEFT JOIN accounts d ON d.user_id = u.id AND d.kind = 'debt' AND d.asset = 'usd'
         ORDER BY u.id",
    );
    Ok(balances.bind::<BigInt, _>(after).bind::<BigInt, _>(limit).load(&mut connection).await?)
}

/// The model calls of all users on one UTC day, or of one model over some days. Nano-dollars.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct UseSum {
    #[diesel(sql_type = Nullable<Date>)]
    pub day: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<Text>)]
    pub model: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub requests: i64,
    #[diesel(sql_type = BigInt)]
    pub tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub cost: i64,
}

/// The sums since that UTC day: one for each day with calls, then one for each model.
///
/// # Errors
/// As for every statement.
pub async fn use_since(store: &Store, first: NaiveDate) -> Result<Vec<UseSum>, StoreError> {
    let mut connection = store.get().await?;
    let sums = diesel::sql_query(
        "SELECT day, model, sum(requests)::bigint AS requests, sum(prompt_tokens + completion_tokens)::bigint AS tokens,
             sum(cost)::bigint AS cost
         FROM activity_daily WHERE day >= $1 AND requests > 0 GROUP BY GROUPING SETS (day, model) ORDER BY day, model",
    );
    Ok(sums.bind::<Date, _>(first).load(&mut connection).await?)
}

/// All model calls with all keys. Nano-dollars.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct UseTotal {
    #[diesel(sql_type = BigInt)]
    pub requests: i64,
    #[diesel(sql_type = BigInt)]
    pub tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub cost: i64,
    /// Keys with a call since the time that was asked about.
    #[diesel(sql_type = BigInt)]
    pub active_keys: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_request_at: Option<DateTime<Utc>>,
}

/// One row a key is read, not one a call.
///
/// # Errors
/// As for every statement.
pub async fn use_in_all(store: &Store, active_since: DateTime<Utc>) -> Result<UseTotal, StoreError> {
    let mut connection = store.get().await?;
    let total = diesel::sql_query(
        "SELECT coalesce(sum(requests), 0)::bigint AS requests,
             coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint AS tokens, coalesce(sum(cost), 0)::bigint AS cost,
             count(*) FILTER (WHERE last_request_at > $1) AS active_keys, max(last_request_at) AS last_request_at
         FROM activity_totals",
    );
    Ok(total.bind::<Timestamptz, _>(active_since).get_result(&mut connection).await?)
}

/// All model calls with one key. Nano-dollars.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct KeyUse {
    #[diesel(sql_type = BigInt)]
    pub user_id: i64,
    #[diesel(sql_type = BigInt)]
    pub api_key_id: i64,
    /// `None` when the key is gone.
    #[diesel(sql_type = Nullable<Text>)]
    pub masked: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub requests: i64,
    #[diesel(sql_type = BigInt)]
    pub tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub cost: i64,
}

/// The keys that used most tokens, most first.
///
/// # Errors
/// As for every statement.
pub async fn busiest_keys(store: &Store, limit: i64) -> Result<Vec<KeyUse>, StoreError> {
    let mut connection = store.get().await?;
    let keys = diesel::sql_query(
        "SELECT t.user_id, t.api_key_id, k.masked::text AS masked, t.requests, t.prompt_tokens + t.completion_tokens AS tokens, t.cost
         FROM activity_totals t LEFT JOIN api_keys k ON k.id = t.api_key_id ORDER BY tokens DESC, t.api_key_id LIMIT $1",
    );
    Ok(keys.bind::<BigInt, _>(limit).load(&mut connection).await?)
}

/// A model call.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct RecentCall {
    #[diesel(sql_type = BigInt)]
    pub user_id: i64,
    #[diesel(sql_type = Nullable<Text>)]
    pub masked: Option<String>,
    #[diesel(sql_type = Text)]
    pub model: String,
    #[diesel(sql_type = BigInt)]
    pub tokens: i64,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
}

/// The last calls that were charged, newest first: the ends of the replicas' chains of usage records.
///
/// # Errors
/// As for every statement.
pub async fn recent_calls(store: &Store, limit: i64) -> Result<Vec<RecentCall>, StoreError> {
    let mut connection = store.get().await?;
    let calls = diesel::sql_query(
        "SELECT c.user_id, k.masked::text AS masked, c.model, c.tokens, c.created_at
         FROM instances i
         CROSS JOIN LATERAL (
             SELECT u.user_id, u.api_key_id, u.model, u.prompt_tokens + u.completion_tokens AS tokens, u.created_at
             FROM usage_records u WHERE u.slot = i.slot ORDER BY u.batch DESC LIMIT $1) c
         LEFT JOIN api_keys k ON k.id = c.api_key_id
         ORDER BY c.created_at DESC LIMIT $1",
    );
    Ok(calls.bind::<BigInt, _>(limit).load(&mut connection).await?)
}
