//! The users: the table `users`, and registration, which is one transaction over all that a new user has.

use crate::api_keys::{self, CreateKeyError, NewKey};
use crate::schema::{accounts, users};
use crate::{Store, StoreError, audit, plans};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use tollgate_domain::{AccountId, KeyId, Nanos, UserId};

/// A user's row, without what only other doors read.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct UserRow {
    pub id: i64,
    pub public_id: String,
    pub username: String,
    pub email: String,
    pub auth_method: String,
    pub is_active: bool,
    pub is_admin: bool,
    pub subscription_status: String,
    pub trial_expires_at: Option<DateTime<Utc>>,
    pub trial_used_tokens: i64,
    pub trial_used_requests: i64,
    pub registration_date: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Someone who registers.
pub struct NewUser<'a> {
    pub username: &'a str,
    pub email: &'a str,
    /// What they are called, when it is not the username.
    pub name: Option<&'a str>,
    /// The DID of someone who signs in with Privy.
    pub privy_user_id: Option<&'a str>,
    pub auth_method: &'a str,
    /// `None`: no trial, active at once.
    pub trial_expires_at: Option<DateTime<Utc>>,
    /// The sign-up credits that the ledger is to grant; not zero.
    pub pending_grant: Option<Nanos>,
    pub key: NewKey<'a>,
}

/// A user's two accounts in dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DollarAccounts {
    pub credits: AccountId,
    pub debt: AccountId,
}

/// What a registration made.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    pub user: UserId,
    pub key: KeyId,
    pub accounts: DollarAccounts,
}

/// Sign-up credits that the ledger has yet to grant.
#[derive(Clone, Copy, Debug)]
pub struct PendingGrant {
    pub user: UserId,
    pub accounts: DollarAccounts,
    pub amount: Nanos,
}

/// What a user's trial has used up since the last time this was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialUse {
    pub user: UserId,
    pub tokens: i64,
    pub requests: i64,
}

/// Why nobody was registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("the username is taken")]
    UsernameTaken,
    #[error("the e-mail address has an account")]
    EmailTaken,
    /// Someone signs in for the first time, in two pages at once.
    #[error("the Privy user has an account")]
    PrivyUserTaken,
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for RegisterError {
    fn from(error: StoreError) -> Self {
        if error.is_constraint("users_username_key") {
            Self::UsernameTaken
        } else if error.is_constraint("users_email_key") {
            Self::EmailTaken
        } else if error.is_constraint("users_privy_user_id_key") {
            Self::PrivyUserTaken
        } else {
            Self::Store(error)
        }
    }
}

impl From<diesel::result::Error> for RegisterError {
    fn from(error: diesel::result::Error) -> Self {
        StoreError::from(error).into()
    }
}

/// Makes the user, four accounts (dollars and tokens, each with its debt), the primary key, the place on the Free plan and the audit row, or nothing.
///
/// # Errors
/// The username or the address is taken; else as for every statement.
pub async fn register(store: &Store, new: &NewUser<'_>, now: DateTime<Utc>) -> Result<Registered, RegisterError> {
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            let user = insert(connection, new, now).await?;
            let accounts = open_accounts(connection, user, now).await?;
            plans::start_free(connection, user, now).await?;
            let key = match api_keys::insert(connection, user, &new.key, now).await {
                Ok(row) => KeyId(row.id),
                Err(CreateKeyError::Store(error)) => return Err(RegisterError::from(error)),
                // A user who is a moment old has no other key.
                Err(CreateKeyError::NameTaken) => return Err(diesel::result::Error::RollbackTransaction.into()),
            };
            audit::append(connection, user, Some(key), "create", new.key.audit_details(), now).await?;
            Ok(Registered { user, key, accounts })
        })
        .await
}

async fn insert(connection: &mut AsyncPgConnection, new: &NewUser<'_>, now: DateTime<Utc>) -> QueryResult<UserId> {
    let id: i64 = diesel::insert_into(users::table)
        .values((
            users::username.eq(new.username),
            users::email.eq(new.email),
            users::name.eq(new.name),
            users::privy_user_id.eq(new.privy_user_id),
            users::auth_method.eq(new.auth_method),
            users::subscription_status.eq(if new.trial_expires_at.is_some() { "trial" } else { "active" }),
            users::trial_expires_at.eq(new.trial_expires_at),
            users::pending_grant_nanos.eq(new.pending_grant.map(|amount| amount.0)),
            users::registration_date.eq(now),
            users::created_at.eq(now),
            users::updated_at.eq(now),
        ))
        .returning(users::id)
        .get_result(connection)
        .await?;
    Ok(UserId(id))
}

async fn open_accounts(
    connection: &mut AsyncPgConnection,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<DollarAccounts, diesel::result::Error> {
    let account = |kind: &'static str, asset: &'static str| {
        (accounts::kind.eq(kind), accounts::asset.eq(asset), accounts::user_id.eq(user.0), accounts::created_at.eq(now))
    };
    diesel::insert_into(accounts::table)
        .values([account("user", "usd"), account("debt", "usd"), account("user", "tokens"), account("debt", "tokens")])
        .execute(connection)
        .await?;
    dollar_accounts(connection, user).await?.ok_or(diesel::result::Error::NotFound)
}

/// The user's accounts in dollars, or `None` when there is no such user.
pub(crate) async fn dollar_accounts(connection: &mut AsyncPgConnection, user: UserId) -> QueryResult<Option<DollarAccounts>> {
    let rows: Vec<(String, i64)> = accounts::table
        .filter(accounts::user_id.eq(user.0).and(accounts::asset.eq("usd")).and(accounts::kind.eq_any(["user", "debt"])))
        .select((accounts::kind, accounts::id))
        .load(connection)
        .await?;
    let of_kind = |kind: &str| rows.iter().find(|row| row.0 == kind).map(|row| AccountId(row.1));
    Ok(of_kind("user").zip(of_kind("debt")).map(|(credits, debt)| DollarAccounts { credits, debt }))
}

/// The user and their accounts in dollars.
///
/// # Errors
/// As for every statement.
pub async fn find(store: &Store, user: UserId) -> Result<Option<(UserRow, DollarAccounts)>, StoreError> {
    let mut connection = store.get().await?;
    let row = users::table.find(user.0).select(UserRow::as_select()).first(&mut connection).await.optional()?;
    let Some(row) = row else { return Ok(None) };
    let accounts = dollar_accounts(&mut connection, user).await?;
    Ok(accounts.map(|accounts| (row, accounts)))
}

/// Sign-up credits not yet granted of users registered after `from`, oldest first.
///
/// # Errors
/// As for every statement.
pub async fn pending_grants(store: &Store, from: DateTime<Utc>, limit: i64) -> Result<Vec<PendingGrant>, StoreError> {
    let mut connection = store.get().await?;
    let rows: Vec<(i64, Option<i64>)> = users::table
        .filter(users::pending_grant_nanos.is_not_null().and(users::created_at.ge(from)))
        .order(users::id)
        .limit(limit)
        .select((users::id, users::pending_grant_nanos))
        .load(&mut connection)
        .await?;
    let mut pending = Vec::with_capacity(rows.len());
    for (id, amount) in rows {
        let user = UserId(id);
        if let (Some(amount), Some(accounts)) = (amount, dollar_accounts(&mut connection, user).await?) {
            pending.push(PendingGrant { user, accounts, amount: Nanos(amount) });
        }
    }
    Ok(pending)
}

/// Notes that the sign-up credits are granted.
///
/// # Errors
/// As for every statement.
pub async fn grant_done(store: &Store, user: UserId) -> Result<(), StoreError> {
    let mut connection = store.get().await?;
    diesel::update(users::table.find(user.0)).set(users::pending_grant_nanos.eq(None::<i64>)).execute(&mut connection).await?;
    Ok(())
}

/// Ends the trial: whoever pays or is given something is a customer. False when there is no such user.
///
/// # Errors
/// As for every statement.
pub async fn end_trial(store: &Store, user: UserId, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let mut connection = store.get().await?;
    let changed = diesel::update(users::table.find(user.0))
        .set((
            users::subscription_status.eq("active"),
            users::trial_expires_at.eq(None::<DateTime<Utc>>),
            users::updated_at.eq(now),
        ))
        .execute(&mut connection)
        .await?;
    Ok(changed > 0)
}

#[derive(QueryableByName)]
struct TrialTotal {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    trial_used_tokens: i64,
    #[diesel(sql_type = BigInt)]
    trial_used_requests: i64,
}

/// Adds what trials have used, in one statement, and returns the new totals. A user must stand in it once.
///
/// # Errors
/// As for every statement.
pub async fn add_trial_use(store: &Store, used: &[TrialUse]) -> Result<Vec<TrialUse>, StoreError> {
    let column = |value: fn(&TrialUse) -> i64| used.iter().map(value).collect::<Vec<_>>();
    let mut connection = store.get().await?;
    let totals: Vec<TrialTotal> = diesel::sql_query(
        // Rows are locked in order, because two replicas may write the same users at once.
        "WITH locked AS (SELECT id FROM users WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE) \
         UPDATE users SET trial_used_tokens = trial_used_tokens + used.tokens, \
         trial_used_requests = trial_used_requests + used.requests \
         FROM UNNEST($1, $2, $3) AS used (id, tokens, requests) JOIN locked USING (id) WHERE users.id = used.id \
         RETURNING users.id, trial_used_tokens, trial_used_requests",
    )
    .bind::<Array<BigInt>, _>(column(|used| used.user.0))
    .bind::<Array<BigInt>, _>(column(|used| used.tokens))
    .bind::<Array<BigInt>, _>(column(|used| used.requests))
    .load(&mut connection)
    .await?;
    Ok(totals
        .into_iter()
        .map(|row| TrialUse { user: UserId(row.id), tokens: row.trial_used_tokens, requests: row.trial_used_requests })
        .collect())
}

/// How many users there are. Counts rows: ask seldom.
///
/// # Errors
/// As for every statement.
pub async fn count(store: &Store) -> Result<i64, StoreError> {
    let mut connection = store.get().await?;
    Ok(users::table.count().get_result(&mut connection).await?)
}
