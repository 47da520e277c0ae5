//! Who was refused by a limit: the table `rate_limit_alerts`.

use crate::schema::{api_keys, rate_limit_alerts};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::Value;
use tollgate_domain::{KeyId, UserId};

/// A refusal to write down.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAlert {
    pub user: UserId,
    pub key: KeyId,
    /// Which limit: `requests_per_minute`, `burst`, …
    pub kind: &'static str,
    pub window_start: DateTime<Utc>,
    pub details: Value,
    pub at: DateTime<Utc>,
}

/// A refusal as it is shown.
#[derive(Clone, Debug, Queryable)]
pub struct AlertRow {
    pub id: i64,
    pub user_id: i64,
    pub api_key_id: i64,
    /// The key's masked form; `None` when it was deleted.
    pub masked: Option<String>,
    pub alert_type: String,
    pub details: Value,
    pub created_at: DateTime<Utc>,
    pub resolved: bool,
    pub resolved_at: Option<DateTime<Utc>>,
    pub resolved_by: Option<String>,
}

/// Writes alerts; of those of one key, kind and window the first stays.
///
/// # Errors
/// As for every statement.
pub async fn insert(store: &Store, alerts: &[NewAlert]) -> Result<(), StoreError> {
    let rows: Vec<_> = alerts
        .iter()
        .map(|alert| {
            (
                rate_limit_alerts::user_id.eq(alert.user.0),
                rate_limit_alerts::api_key_id.eq(alert.key.0),
                rate_limit_alerts::alert_type.eq(alert.kind),
                rate_limit_alerts::window_start.eq(alert.window_start),
                rate_limit_alerts::details.eq(&alert.details),
                rate_limit_alerts::created_at.eq(alert.at),
            )
        })
        .collect();
    let mut connection = store.get().await?;
    diesel::insert_into(rate_limit_alerts::table).values(rows).on_conflict_do_nothing().execute(&mut connection).await?;
    Ok(())
}

/// The newest alerts, of one key or of all.
///
/// # Errors
/// As for every statement.
pub async fn list(store: &Store, key: Option<KeyId>, resolved: bool, limit: i64) -> Result<Vec<AlertRow>, StoreError> {
    let mut alerts = rate_limit_alerts::table
        .left_join(api_keys::table.on(api_keys::id.eq(rate_limit_alerts::api_key_id)))
        .filter(rate_limit_alerts::resolved.eq(resolved))
        .into_boxed();
    if let Some(key) = key {
        alerts = alerts.filter(rate_limit_alerts::api_key_id.eq(key.0));
    }
    let mut connection = store.get().await?;
    let rows = alerts
        .order((rate_limit_alerts::created_at.desc(), rate_limit_alerts::id.desc()))
        .limit(limit)
        .select((
            rate_limit_alerts::id,
            rate_limit_alerts::user_id,
            rate_limit_alerts::api_key_id,
            api_keys::masked.nullable(),
            rate_limit_alerts::alert_type,
            rate_limit_alerts::details,
            rate_limit_alerts::created_at,
            rate_limit_alerts::resolved,
            rate_limit_alerts::resolved_at,
            rate_limit_alerts::resolved_by,
        ))
        .load(&mut connection)
        .await?;
    Ok(rows)
}

/// How many are not resolved.
///
/// # Errors
/// As for every statement.
pub async fn open(store: &Store) -> Result<i64, StoreError> {
    let mut connection = store.get().await?;
    let open = rate_limit_alerts::table.filter(rate_limit_alerts::resolved.eq(false)).count();
    Ok(open.get_result(&mut connection).await?)
}

/// Forgets alerts of before that time.
///
/// # Errors
/// As for every statement.
pub async fn prune(store: &Store, before: DateTime<Utc>) -> Result<usize, StoreError> {
    let mut connection = store.get().await?;
    let old = rate_limit_alerts::table.filter(rate_limit_alerts::created_at.lt(before));
    Ok(diesel::delete(old).execute(&mut connection).await?)
}
