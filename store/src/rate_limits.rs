//! What a key may do in a minute, an hour, a day: the table `rate_limit_configs`.
//!
//! A key without a row has the settings' defaults, which are not stored.

use crate::audit::{self, Actor};
use crate::schema::{api_keys, rate_limit_configs};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollgate_domain::{KeyId, UserId};

/// A key's limits: requests and tokens per window, requests in one burst, requests at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable, Selectable, Serialize, Deserialize)]
#[diesel(table_name = rate_limit_configs)]
pub struct RateLimits {
    pub requests_per_minute: i64,
    pub requests_per_hour: i64,
    pub requests_per_day: i64,
    pub tokens_per_minute: i64,
    pub tokens_per_hour: i64,
    pub tokens_per_day: i64,
    #[diesel(column_name = burst_limit)]
    pub burst: i64,
    #[diesel(column_name = concurrency_limit)]
    pub concurrency: i64,
}

/// New limits; `None` keeps what the key has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewLimits {
    pub requests_per_minute: i64,
    pub requests_per_hour: i64,
    pub requests_per_day: i64,
    pub tokens_per_minute: i64,
    pub tokens_per_hour: i64,
    pub tokens_per_day: i64,
    pub burst: Option<i64>,
    pub concurrency: Option<i64>,
}

impl NewLimits {
    /// The whole of it for a key that has `before`.
    #[must_use]
    pub fn over(self, before: RateLimits) -> RateLimits {
        RateLimits {
            requests_per_minute: self.requests_per_minute,
            requests_per_hour: self.requests_per_hour,
            requests_per_day: self.requests_per_day,
            tokens_per_minute: self.tokens_per_minute,
            tokens_per_hour: self.tokens_per_hour,
            tokens_per_day: self.tokens_per_day,
            burst: self.burst.unwrap_or(before.burst),
            concurrency: self.concurrency.unwrap_or(before.concurrency),
        }
    }
}

/// Who sets limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetBy {
    /// The operator or an administrator: may give anything; what is given is the owner's ceiling from then on.
    Operator(Actor),
    /// May not go above what the operator gave, or the defaults where nothing was given.
    Owner,
}

/// Why limits were not set.
#[derive(Debug, thiserror::Error)]
pub enum SetLimitsError {
    #[error("key {key} may have at most {ceiling:?}")]
    AboveGrant { key: KeyId, ceiling: RateLimits },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for SetLimitsError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

impl RateLimits {
    /// Is nothing of it above the other?
    #[must_use]
    pub fn within(&self, ceiling: &Self) -> bool {
        let pairs = [
            (self.requests_per_minute, ceiling.requests_per_minute),
            (self.requests_per_hour, ceiling.requests_per_hour),
            (self.requests_per_day, ceiling.requests_per_day),
            (self.tokens_per_minute, ceiling.tokens_per_minute),
            (self.tokens_per_hour, ceiling.tokens_per_hour),
            (self.tokens_per_day, ceiling.tokens_per_day),
            (self.burst, ceiling.burst),
            (self.concurrency, ceiling.concurrency),
        ];
        pairs.into_iter().all(|(limit, most)| limit <= most)
    }
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = rate_limit_configs)]
struct Row {
    api_key_id: i64,
    requests_per_minute: i64,
    requests_per_hour: i64,
    requests_per_day: i64,
    tokens_per_minute: i64,
    tokens_per_hour: i64,
    tokens_per_day: i64,
    burst_limit: i64,
    concurrency_limit: i64,
    updated_at: DateTime<Utc>,
    /// `None` leaves what was granted as it is.
    granted: Option<Value>,
}

impl Row {
    fn new(key: KeyId, limits: RateLimits, by: SetBy, now: DateTime<Utc>) -> Self {
        Self {
            api_key_id: key.0,
            requests_per_minute: limits.requests_per_minute,
            requests_per_hour: limits.requests_per_hour,
            requests_per_day: limits.requests_per_day,
            tokens_per_minute: limits.tokens_per_minute,
            tokens_per_hour: limits.tokens_per_hour,
            tokens_per_day: limits.tokens_per_day,
            burst_limit: limits.burst,
            concurrency_limit: limits.concurrency,
            updated_at: now,
            granted: matches!(by, SetBy::Operator(_)).then(|| json!(limits)),
        }
    }
}

/// Gives all these keys of the user new limits, with an audit row each, in one transaction. A key without limits of its
/// own starts from `defaults`.
///
/// # Errors
/// `AboveGrant`; else as for every statement; a key that is gone by then is a broken foreign key.
pub async fn set(
    store: &Store,
    user: UserId,
    keys: &[KeyId],
    limits: NewLimits,
    by: SetBy,
    defaults: RateLimits,
    now: DateTime<Utc>,
) -> Result<(), SetLimitsError> {
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            for &key in keys {
                set_one(connection, user, key, limits, by, defaults, now).await?;
            }
            Ok(())
        })
        .await
}

async fn set_one(
    connection: &mut AsyncPgConnection,
    user: UserId,
    key: KeyId,
    limits: NewLimits,
    by: SetBy,
    defaults: RateLimits,
    now: DateTime<Utc>,
) -> Result<(), SetLimitsError> {
    let stored: Option<(RateLimits, Option<Value>)> = rate_limit_configs::table
        .find(key.0)
        .select((RateLimits::as_select(), rate_limit_configs::granted))
        .for_update()
        .first(connection)
        .await
        .optional()?;
    let (before, granted) = stored.unwrap_or((defaults, None));
    let after = limits.over(before);
    let ceiling = granted.and_then(|granted| serde_json::from_value(granted).ok()).unwrap_or(defaults);
    if by == SetBy::Owner && !after.within(&ceiling) {
        return Err(SetLimitsError::AboveGrant { key, ceiling });
    }
    let row = Row::new(key, after, by, now);
    diesel::insert_into(rate_limit_configs::table)
        .values(&row)
        .on_conflict(rate_limit_configs::api_key_id)
        .do_update()
        .set(&row)
        .execute(connection)
        .await?;
    let details = json!({
        "updated_fields": ["rate_limits"],
        "old_values": before,
        "new_values": after,
        "update_timestamp": now,
    });
    match by {
        SetBy::Owner => audit::append(connection, user, Some(key), "update", details, now).await?,
        SetBy::Operator(actor) => audit::append_by(connection, actor, Some(user), Some(key), "update", details, now).await?,
    }
    Ok(())
}

/// The user's keys that have limits of their own, and these.
///
/// # Errors
/// As for every statement.
pub async fn of_user(store: &Store, user: UserId) -> Result<Vec<(KeyId, RateLimits)>, StoreError> {
    let mut connection = store.get().await?;
    let rows: Vec<(i64, RateLimits)> = rate_limit_configs::table
        .inner_join(api_keys::table)
        .filter(api_keys::user_id.eq(user.0))
        .select((rate_limit_configs::api_key_id, RateLimits::as_select()))
        .load(&mut connection)
        .await?;
    Ok(rows.into_iter().map(|(key, limits)| (KeyId(key), limits)).collect())
}
