//! What owners change about their keys: a field, or the secret. Each change has its audit rows in its own transaction.

use super::KeyRow;
use crate::ledger::budgets;
use crate::schema::api_keys;
use crate::{Store, StoreError, audit};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::{Map, Value, json};
use tollgate_domain::{Budget, BudgetPeriod, KeyId, Nanos, UserId};

/// What shall be other about a key; `None` leaves it as it is.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = api_keys)]
pub struct KeyChange {
    pub key_name: Option<String>,
    pub is_active: Option<bool>,
    pub scope_permissions: Option<Value>,
    pub ip_allowlist: Option<Vec<String>>,
    pub domain_referrers: Option<Vec<String>>,
    pub model_allowlist: Option<Vec<String>>,
    pub expiration_date: Option<Option<DateTime<Utc>>>,
    pub max_requests: Option<Option<i64>>,
    #[diesel(skip_update)]
    pub budget: Option<BudgetChange>,
    /// The secret before the last rotation ends then, if that is sooner.
    #[diesel(skip_update)]
    pub previous_ends_at: Option<DateTime<Utc>>,
}

/// What shall be other about a key's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetChange {
    Remove,
    /// What is absent stays. Another period begins a new count, another limit does not.
    Set {
        limit: Option<Nanos>,
        period: Option<BudgetPeriod>,
    },
}

/// A key's new secret, and how long the one before it works on.
#[derive(Clone, Debug)]
pub struct NewSecret<'a> {
    /// HMAC-SHA256 of the secret under the pepper of that version: 32 bytes.
    pub key_hash: &'a [u8],
    pub pepper_version: i16,
    pub masked: &'a str,
    pub last4: &'a str,
    /// `None`: it ends at once.
    pub previous_ends_at: Option<DateTime<Utc>>,
}

/// Why a key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeKeyError {
    #[error("the user has no such key")]
    Unknown,
    #[error("the user has a key of that name")]
    NameTaken,
    #[error("the cap is below the requests that were made")]
    CapBelowUse,
    #[error("the key has no budget whose period could change")]
    NoBudget,
    #[error("a key that is not active is not rotated")]
    Inactive,
    #[error("a key that has expired is not rotated")]
    Expired,
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for ChangeKeyError {
    fn from(error: StoreError) -> Self {
        match error {
            error if error.is_constraint("api_keys_name_per_user") => Self::NameTaken,
            error if error.is_constraint("api_keys_request_cap") => Self::CapBelowUse,
            error => Self::Store(error),
        }
    }
}

impl From<diesel::result::Error> for ChangeKeyError {
    fn from(error: diesel::result::Error) -> Self {
        StoreError::from(error).into()
    }
}

/// Changes a key of the user's, and gives it the new secret where there is one.
///
/// # Errors
/// As [`ChangeKeyError`] says; then nothing is changed.
pub async fn change(
    store: &Store,
    user: UserId,
    key: KeyId,
    change: &KeyChange,
    secret: Option<&NewSecret<'_>>,
    now: DateTime<Utc>,
) -> Result<KeyRow, ChangeKeyError> {
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            let before = lock(connection, user, key).await?;
            let after = apply(connection, &before, change, now).await?;
            let (old, new) = difference(&before, &after);
            if secret.is_none() || new.keys().any(|field| field != "key_name") {
                let details = json!({"updated_fields": new.keys().collect::<Vec<_>>(), "old_values": old, "new_values": new,
                    "update_timestamp": now});
                audit::append(connection, user, Some(key), "update", details, now).await?;
            }
            match secret {
                Some(secret) => rotate(connection, &after, &before.key_name, secret, now).await,
                None => Ok(after),
            }
        })
        .await
}

/// Gives each of these keys of the user's its new secret, all of them or none. Answers the rows in the order of the keys, which is
/// that of their ids: so that no two who lock several keys wait for each other.
///
/// # Errors
/// As [`ChangeKeyError`] says; then nothing is changed.
pub async fn rotate_all(
    store: &Store,
    user: UserId,
    secrets: &[(KeyId, NewSecret<'_>)],
    now: DateTime<Utc>,
) -> Result<Vec<KeyRow>, ChangeKeyError> {
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            let mut rows = Vec::with_capacity(secrets.len());
            for (key, secret) in secrets {
                let before = lock(connection, user, *key).await?;
                rows.push(rotate(connection, &before, &before.key_name, secret, now).await?);
            }
            Ok(rows)
        })
        .await
}

async fn lock(connection: &mut AsyncPgConnection, user: UserId, key: KeyId) -> Result<KeyRow, ChangeKeyError> {
    let row = api_keys::table
        .filter(api_keys::id.eq(key.0).and(api_keys::user_id.eq(user.0)).and(api_keys::is_session.eq(false)))
        .select(KeyRow::as_select())
        .for_no_key_update()
        .get_result(connection)
        .await
        .optional()?;
    row.ok_or(ChangeKeyError::Unknown)
}

async fn apply(
    connection: &mut AsyncPgConnection,
    before: &KeyRow,
    change: &KeyChange,
    now: DateTime<Utc>,
) -> Result<KeyRow, ChangeKeyError> {
    let key = KeyId(before.id);
    let budget_before = before.budget.budget();
    let budget = change.budget.map_or(Ok(budget_before), |change| changed_budget(budget_before, change, now))?;
    let previous_ends_at = before.previous.previous_expires_at.zip(change.previous_ends_at).map(|(is, asked)| is.min(asked));
    let after = diesel::update(api_keys::table.find(key.0))
        .set((
            change,
            previous_ends_at.map(|end| api_keys::previous_expires_at.eq(end)),
            api_keys::budget_nanos.eq(budget.map(|budget| budget.limit.0)),
            api_keys::budget_period.eq(budget.map(|budget| budget.period.as_str())),
            api_keys::budget_since.eq(budget.map(|budget| budget.since)),
            api_keys::updated_at.eq(now),
        ))
        .returning(KeyRow::as_returning())
        .get_result(connection)
        .await?;
    let same_count = |budget: &Budget| budget_before.is_some_and(|before| before.since == budget.since);
    if let Some(budget) = budget.filter(same_count).filter(|_| budget != budget_before) {
        budgets::change_limit(connection, key, budget, now).await?;
    }
    Ok(after)
}

/// The budget after the change. One that counts other periods than before begins anew.
fn changed_budget(before: Option<Budget>, change: BudgetChange, now: DateTime<Utc>) -> Result<Option<Budget>, ChangeKeyError> {
    let BudgetChange::Set { limit, period } = change else { return Ok(None) };
    let limit = limit.or(before.map(|before| before.limit)).ok_or(ChangeKeyError::NoBudget)?;
    let period = period.or(before.map(|before| before.period)).unwrap_or(BudgetPeriod::Total);
    let since = before.filter(|before| before.period == period).map_or(now, |before| before.since);
    Ok(Some(Budget { limit, period, since }))
}

/// The old secret's place is taken by the new one; what stood in the place of the previous secret is forgotten.
async fn rotate(
    connection: &mut AsyncPgConnection,
    row: &KeyRow,
    old_name: &str,
    secret: &NewSecret<'_>,
    now: DateTime<Utc>,
) -> Result<KeyRow, ChangeKeyError> {
    if !row.is_active {
        return Err(ChangeKeyError::Inactive);
    }
    if row.expiration_date.is_some_and(|end| end <= now) {
        return Err(ChangeKeyError::Expired);
    }
    // No secret outlives its key.
    let ends_at = secret.previous_ends_at.map(|end| row.expiration_date.map_or(end, |expiry| expiry.min(end)));
    let is_kept = ends_at.is_some();
    let kept_hash = diesel::dsl::case_when(is_kept.into_sql::<diesel::sql_types::Bool>(), api_keys::key_hash.nullable());
    let rotated = diesel::update(api_keys::table.find(row.id))
        .set((
            api_keys::previous_key_hash.eq(kept_hash),
            api_keys::previous_masked.eq(is_kept.then_some(&row.masked)),
            api_keys::previous_last4.eq(is_kept.then_some(&row.last4)),
            api_keys::previous_expires_at.eq(ends_at),
            api_keys::key_hash.eq(secret.key_hash),
            api_keys::pepper_version.eq(secret.pepper_version),
            api_keys::masked.eq(secret.masked),
            api_keys::last4.eq(secret.last4),
            api_keys::rotated_at.eq(now),
            api_keys::updated_at.eq(now),
        ))
        .returning(KeyRow::as_returning())
        .get_result(connection)
        .await?;
    let details = json!({"old_key_name": old_name, "new_key_name": rotated.key_name, "rotated_at": now,
        "previous_key_expires_at": ends_at});
    audit::append(connection, UserId(row.user_id), Some(KeyId(row.id)), "rotate", details, now).await?;
    Ok(rotated)
}

/// What is other, by the names of the API: old values and new ones.
fn difference(before: &KeyRow, after: &KeyRow) -> (Map<String, Value>, Map<String, Value>) {
    let (before, after) = (facts(before), facts(after));
    before.into_iter().zip(after).filter(|(old, new)| old != new).unzip()
}

/// What an update can change, in the same order for every row.
fn facts(row: &KeyRow) -> Map<String, Value> {
    let budget = row.budget.budget();
    let facts = json!({
        "key_name": row.key_name,
        "is_active": row.is_active,
        "scope_permissions": row.scope_permissions,
        "ip_allowlist": row.ip_allowlist,
        "domain_referrers": row.domain_referrers,
        "allowed_models": row.model_allowlist,
        "expiration_date": row.expiration_date,
        "max_requests": row.max_requests,
        "budget_usd": budget.map(|budget| budget.limit),
        "budget_period": budget.map(|budget| budget.period.as_str()),
        "previous_key_expires_at": row.previous.previous_expires_at,
    });
    if let Value::Object(facts) = facts { facts } else { Map::new() }
}
