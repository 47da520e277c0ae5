//! What became of users' trials, for the operator.

use crate::{Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;

/// Users, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct Trials {
    #[diesel(sql_type = BigInt)]
    pub users: i64,
    /// On a trial that goes on.
    #[diesel(sql_type = BigInt)]
    pub active: i64,
    /// On a trial whose time is over.
    #[diesel(sql_type = BigInt)]
    pub expired: i64,
    /// On none.
    #[diesel(sql_type = BigInt)]
    pub converted: i64,
    /// On one that ends within a day.
    #[diesel(sql_type = BigInt)]
    pub ending_soon: i64,
    /// Used by those that go on.
    #[diesel(sql_type = BigInt)]
    pub tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub requests: i64,
    /// Of the last week.
    #[diesel(sql_type = BigInt)]
    pub new_users: i64,
}

/// Counts users by their trial. Reads all of them: ask seldom.
///
/// # Errors
/// As for every statement.
pub async fn count(store: &Store, now: DateTime<Utc>) -> Result<Trials, StoreError> {
    let mut connection = store.get().await?;
    let counts = diesel::sql_query(
        "SELECT count(*) AS users,
             count(*) FILTER (WHERE trial_expires_at > $1) AS active,
             count(*) FILTER (WHERE trial_expires_at <= $1) AS expired,
             count(*) FILTER (WHERE trial_expires_at IS NULL) AS converted,
             count(*) FILTER (WHERE trial_expires_at > $1 AND trial_expires_at <= $2) AS ending_soon,
             coalesce(sum(trial_used_tokens) FILTER (WHERE trial_expires_at > $1), 0)::bigint AS tokens,
             coalesce(sum(trial_used_requests) FILTER (WHERE trial_expires_at > $1), 0)::bigint AS requests,
             count(*) FILTER (WHERE created_at > $3) AS new_users
         FROM users",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<Timestamptz, _>(now + TimeDelta::days(1))
    .bind::<Timestamptz, _>(now - TimeDelta::days(7));
    Ok(counts.get_result(&mut connection).await?)
}
