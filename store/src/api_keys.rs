//! The API keys: the table `api_keys`. A key itself is never here, only its HMAC.

mod change;

pub use change::{BudgetChange, ChangeKeyError, KeyChange, NewSecret, change, rotate_all};

use crate::ledger::BudgetRow;
use crate::plans::{PlanRow, UserPlanRow};
use crate::rate_limits::RateLimits;
use crate::schema::{api_keys, plans, rate_limit_configs, user_plans, users};
use crate::users::{DollarAccounts, UserRow, dollar_accounts};
use crate::{Store, StoreError, audit};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::{Value, json};
use tollgate_domain::{Budget, KeyId, UserId};

/// A key's row, without its hash.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = api_keys)]
pub struct KeyRow {
    pub id: i64,
    pub user_id: i64,
    pub masked: String,
    pub last4: String,
    pub key_name: String,
    pub environment_tag: String,
    pub is_primary: bool,
    pub is_active: bool,
    /// Verb → resources.
    pub scope_permissions: Value,
    pub ip_allowlist: Vec<String>,
    pub domain_referrers: Vec<String>,
    pub model_allowlist: Vec<String>,
    pub expiration_date: Option<DateTime<Utc>>,
    pub max_requests: Option<i64>,
    pub requests_used: i64,
    pub last_used_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub rotated_at: Option<DateTime<Utc>>,
    #[diesel(embed)]
    pub previous: PreviousSecret,
    #[diesel(embed)]
    pub budget: BudgetRow,
    /// Made by a sign-in, for a web page: it expires, and lists leave it out.
    pub is_session: bool,
}

/// The secret that a key had before its last rotation, its fields all there or all absent.
#[derive(Clone, Debug, Default, Queryable, Selectable)]
#[diesel(table_name = api_keys)]
pub struct PreviousSecret {
    pub previous_masked: Option<String>,
    pub previous_last4: Option<String>,
    /// From then on it is refused.
    pub previous_expires_at: Option<DateTime<Utc>>,
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey<'a> {
    /// HMAC-SHA256 of the key under the pepper of that version: 32 bytes.
    pub key_hash: &'a [u8],
    pub pepper_version: i16,
    pub masked: &'a str,
    pub last4: &'a str,
    pub key_name: &'a str,
    pub environment_tag: &'a str,
    pub is_primary: bool,
    pub scope_permissions: Value,
    pub ip_allowlist: &'a [String],
    pub domain_referrers: &'a [String],
    pub model_allowlist: &'a [String],
    /// For the audit row; `expiration_date` is what counts.
    pub expiration_days: Option<i64>,
    pub expiration_date: Option<DateTime<Utc>>,
    pub max_requests: Option<i64>,
    pub budget: Option<Budget>,
    /// Made by a sign-in: its name need not be another than its siblings'.
    pub is_session: bool,
}

impl NewKey<'_> {
    pub(crate) fn audit_details(&self) -> Value {
        json!({
            "key_name": self.key_name,
            "environment_tag": self.environment_tag,
            "scope_permissions": self.scope_permissions,
            "expiration_days": self.expiration_days,
            "max_requests": self.max_requests,
            "ip_allowlist": self.ip_allowlist,
            "domain_referrers": self.domain_referrers,
            "allowed_models": self.model_allowlist,
            "budget_usd": self.budget.map(|budget| budget.limit),
            "budget_period": self.budget.map(|budget| budget.period.as_str()),
            "is_primary": self.is_primary,
            "is_session": self.is_session,
        })
    }
}

/// Everything about the caller behind a key, read in one go.
#[derive(Clone, Debug)]
pub struct CallerRow {
    pub key: KeyRow,
    /// The caller has the secret before the last rotation.
    pub has_previous_secret: bool,
    pub user: UserRow,
    /// `None`: the defaults.
    pub limits: Option<RateLimits>,
    pub plan: Option<(UserPlanRow, PlanRow)>,
    pub accounts: DollarAccounts,
}

/// A key's requests since the last time this was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse {
    pub key: KeyId,
    pub requests: i64,
    pub last_used_at: DateTime<Utc>,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateKeyError {
    #[error("the user has a key of that name")]
    NameTaken,
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for CreateKeyError {
    fn from(error: StoreError) -> Self {
        if error.is_constraint("api_keys_name_per_user") { Self::NameTaken } else { Self::Store(error) }
    }
}

impl From<diesel::result::Error> for CreateKeyError {
    fn from(error: diesel::result::Error) -> Self {
        StoreError::from(error).into()
    }
}

/// Makes a key, with its audit row.
///
/// # Errors
/// The user has a key of that name; else as for every statement.
pub async fn create(store: &Store, user: UserId, new: &NewKey<'_>, now: DateTime<Utc>) -> Result<KeyRow, CreateKeyError> {
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            let row = insert(connection, user, new, now).await?;
            audit::append(connection, user, Some(KeyId(row.id)), "create", new.audit_details(), now).await?;
            Ok(row)
        })
        .await
}

pub(crate) async fn insert(
    connection: &mut AsyncPgConnection,
    user: UserId,
    new: &NewKey<'_>,
    now: DateTime<Utc>,
) -> Result<KeyRow, CreateKeyError> {
    let row = diesel::insert_into(api_keys::table)
        .values((
            api_keys::user_id.eq(user.0),
            api_keys::key_hash.eq(new.key_hash),
            api_keys::pepper_version.eq(new.pepper_version),
            api_keys::masked.eq(new.masked),
            api_keys::last4.eq(new.last4),
            api_keys::key_name.eq(new.key_name),
            api_keys::environment_tag.eq(new.environment_tag),
            api_keys::is_primary.eq(new.is_primary),
            api_keys::scope_permissions.eq(&new.scope_permissions),
            api_keys::ip_allowlist.eq(new.ip_allowlist),
            api_keys::domain_referrers.eq(new.domain_referrers),
            api_keys::model_allowlist.eq(new.model_allowlist),
            api_keys::expiration_date.eq(new.expiration_date),
            api_keys::max_requests.eq(new.max_requests),
            api_keys::budget_nanos.eq(new.budget.map(|budget| budget.limit.0)),
            api_keys::budget_period.eq(new.budget.map(|budget| budget.period.as_str())),
            api_keys::budget_since.eq(new.budget.map(|budget| budget.since)),
            api_keys::is_session.eq(new.is_session),
            api_keys::created_at.eq(now),
            api_keys::updated_at.eq(now),
        ))
        .returning(KeyRow::as_returning())
        .get_result(connection)
        .await?;
    Ok(row)
}

/// The user's own keys, newest first: without those of web sessions.
///
/// # Errors
/// As for every statement.
pub async fn list(store: &Store, user: UserId) -> Result<Vec<KeyRow>, StoreError> {
    let mut connection = store.get().await?;
    let keys = api_keys::table.filter(api_keys::user_id.eq(user.0).and(api_keys::is_session.eq(false)));
    Ok(keys.order(api_keys::id.desc()).select(KeyRow::as_select()).load(&mut connection).await?)
}

/// All keys of the user, newest first.
///
/// # Errors
/// As for every statement.
pub async fn list_with_sessions(store: &Store, user: UserId) -> Result<Vec<KeyRow>, StoreError> {
    let mut connection = store.get().await?;
    let keys = api_keys::table.filter(api_keys::user_id.eq(user.0)).order(api_keys::id.desc());
    Ok(keys.select(KeyRow::as_select()).load(&mut connection).await?)
}

/// The user's session keys, oldest first, for a sign-in that has locked the user's row.
pub(crate) async fn sessions(
    connection: &mut AsyncPgConnection,
    user: UserId,
) -> QueryResult<Vec<(KeyId, Option<DateTime<Utc>>)>> {
    let keys = api_keys::table.filter(api_keys::user_id.eq(user.0).and(api_keys::is_session)).order(api_keys::id);
    let rows: Vec<(i64, Option<DateTime<Utc>>)> = keys.select((api_keys::id, api_keys::expiration_date)).load(connection).await?;
    Ok(rows.into_iter().map(|(id, expires_at)| (KeyId(id), expires_at)).collect())
}

/// Deletes a key of the user's, with its audit row. `None` when the user has no such key.
///
/// # Errors
/// As for every statement.
pub async fn delete(store: &Store, user: UserId, key: KeyId, now: DateTime<Utc>) -> Result<Option<KeyRow>, StoreError> {
    let mut connection = store.get().await?;
    Ok(connection.transaction(async |connection| delete_in(connection, user, key, now).await).await?)
}

/// [`delete`], inside a transaction.
pub(crate) async fn delete_in(
    connection: &mut AsyncPgConnection,
    user: UserId,
    key: KeyId,
    now: DateTime<Utc>,
) -> QueryResult<Option<KeyRow>> {
    let row: Option<KeyRow> = diesel::delete(api_keys::table.filter(api_keys::id.eq(key.0).and(api_keys::user_id.eq(user.0))))
        .returning(KeyRow::as_returning())
        .get_result(connection)
        .await
        .optional()?;
    if let Some(row) = &row {
        let details = json!({"deleted_at": now, "key_name": row.key_name, "environment_tag": row.environment_tag});
        audit::append(connection, user, Some(key), "delete", details, now).await?;
    }
    Ok(row)
}

/// A key, whether its current secret was presented, its user, limits and plan.
type JoinedCaller = (KeyRow, bool, UserRow, Option<RateLimits>, Option<UserPlanRow>, Option<PlanRow>);

/// The caller whose key, or its secret before the last rotation, has one of these hashes: one per pepper version.
///
/// # Errors
/// As for every statement.
pub async fn find_caller(store: &Store, hashes: &[&[u8]]) -> Result<Option<CallerRow>, StoreError> {
    let mut connection = store.get().await?;
    let is_current = || api_keys::key_hash.eq_any(hashes);
    let on_plan = user_plans::user_id.eq(users::id).and(user_plans::is_active);
    let row: Option<JoinedCaller> = api_keys::table
        .inner_join(users::table)
        .left_join(rate_limit_configs::table)
        .left_join(user_plans::table.on(on_plan))
        .left_join(plans::table.on(plans::id.eq(user_plans::plan_id)))
        .filter(is_current().or(api_keys::previous_key_hash.assume_not_null().eq_any(hashes)))
        .select((
            KeyRow::as_select(),
            is_current(),
            UserRow::as_select(),
            Option::<RateLimits>::as_select(),
            Option::<UserPlanRow>::as_select(),
            Option::<PlanRow>::as_select(),
        ))
        .first(&mut connection)
        .await
        .optional()?;
    let Some((key, is_current, user, limits, user_plan, plan)) = row else { return Ok(None) };
    // A user who was deleted between the two statements has no key either.
    let Some(accounts) = dollar_accounts(&mut connection, UserId(key.user_id)).await? else { return Ok(None) };
    Ok(Some(CallerRow { key, has_previous_secret: !is_current, user, limits, plan: user_plan.zip(plan), accounts }))
}

/// Takes one request of a key's cap. `Some(requests used, with this one)`, or `None` when the cap is reached or the
/// key is gone. Exact over replicas: the row decides.
///
/// # Errors
/// As for every statement.
pub async fn take_request(store: &Store, key: KeyId, now: DateTime<Utc>) -> Result<Option<i64>, StoreError> {
    let mut connection = store.get().await?;
    let below_cap = api_keys::max_requests.is_null().or(api_keys::requests_used.nullable().lt(api_keys::max_requests));
    let used = diesel::update(api_keys::table.filter(api_keys::id.eq(key.0).and(below_cap)))
        .set((api_keys::requests_used.eq(api_keys::requests_used + 1), api_keys::last_used_at.eq(now)))
        .returning(api_keys::requests_used)
        .get_result(&mut connection)
        .await
        .optional()?;
    Ok(used)
}

/// Gives a request of the cap back: what it was taken for did not happen. Returns what is used then.
///
/// # Errors
/// As for every statement.
pub async fn return_request(store: &Store, key: KeyId) -> Result<Option<i64>, StoreError> {
    let mut connection = store.get().await?;
    let used = diesel::update(api_keys::table.filter(api_keys::id.eq(key.0).and(api_keys::requests_used.gt(0))))
        .set(api_keys::requests_used.eq(api_keys::requests_used - 1))
        .returning(api_keys::requests_used)
        .get_result(&mut connection)
        .await
        .optional()?;
    Ok(used)
}

/// Adds the requests of many keys in one statement. A key must stand in it once; one that is gone is passed over.
///
/// # Errors
/// As for every statement.
pub async fn add_use(store: &Store, used: &[KeyUse]) -> Result<(), StoreError> {
    let mut connection = store.get().await?;
    diesel::sql_query(
        // Rows are locked in order, because two replicas may write the same keys at once. A key that was given a cap
        // meanwhile stays at it, so that it can't refuse the others' counts.
        "WITH locked AS (SELECT id FROM api_keys WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE) \
         UPDATE api_keys SET requests_used = LEAST(requests_used + used.requests, max_requests), \
         last_used_at = GREATEST(last_used_at, used.at) \
         FROM UNNEST($1, $2, $3) AS used (id, requests, at) JOIN locked USING (id) WHERE api_keys.id = used.id",
    )
    .bind::<Array<BigInt>, _>(used.iter().map(|used| used.key.0).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(used.iter().map(|used| used.requests).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(used.iter().map(|used| used.last_used_at).collect::<Vec<_>>())
    .execute(&mut connection)
    .await?;
    Ok(())
}
