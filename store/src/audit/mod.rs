//! What was done to keys, accounts, plans and credits, and by whom: the append-only tables `api_key_audit_logs` and `audit_links`.
//!
//! The links make a chain of hashes of the rows. A trigger adds a row's link when its transaction commits, under a lock, so any
//! number of replicas write one chain; [`verify()`] computes it again. `details` enter it as a salted hash: an account's deletion
//! erases them, and the chain still verifies.

mod chain;
mod verify;

pub use chain::AuditHead;
pub use verify::{AuditReport, verify};

use crate::schema::api_key_audit_logs;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bytea};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use std::fmt;
use tollgate_domain::{KeyId, UserId};

/// An account was deleted: the one action after which its rows' details may be missing.
pub const DELETE_ACCOUNT: &str = "delete_account";

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The account's own key.
    Owner,
    /// Who has the server's admin key.
    Operator,
    /// A user who is an administrator.
    Admin(UserId),
    /// `tollgate admin`.
    CommandLine,
}

impl fmt::Display for Actor {
    /// As in the column `actor`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner => f.write_str("owner"),
            Self::Operator => f.write_str("operator"),
            Self::Admin(user) => write!(f, "admin {user}"),
            Self::CommandLine => f.write_str("command_line"),
        }
    }
}

/// One thing that was done.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = api_key_audit_logs)]
pub struct AuditRow {
    pub id: i64,
    /// `None`: an act on the whole house.
    pub user_id: Option<i64>,
    pub api_key_id: Option<i64>,
    /// `create`, `update`, `rotate`, `delete`, …
    pub action: String,
    /// Never a key.
    pub details: Value,
    pub timestamp: DateTime<Utc>,
    /// As [`Actor`] is shown.
    pub actor: String,
}

/// Which rows to list.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub key: Option<KeyId>,
    pub action: Option<String>,
    /// Both included.
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    pub limit: i64,
}

/// Adds a row of what the account's owner did, inside the transaction of what it tells of.
pub(crate) async fn append(
    connection: &mut AsyncPgConnection,
    user: UserId,
    key: Option<KeyId>,
    action: &str,
    details: Value,
    now: DateTime<Utc>,
) -> Result<(), diesel::result::Error> {
    // Who owns the connection is who did it: the column's default.
    insert(connection, None, Some(user), key, action, details, now).await
}

/// Adds a row of what somebody did to an account, or without a user to the whole house.
pub(crate) async fn append_by(
    connection: &mut AsyncPgConnection,
    by: Actor,
    user: Option<UserId>,
    key: Option<KeyId>,
    action: &str,
    details: Value,
    now: DateTime<Utc>,
) -> Result<(), diesel::result::Error> {
    insert(connection, Some(by), user, key, action, details, now).await
}

async fn insert(
    connection: &mut AsyncPgConnection,
    by: Option<Actor>,
    user: Option<UserId>,
    key: Option<KeyId>,
    action: &str,
    details: Value,
    now: DateTime<Utc>,
) -> Result<(), diesel::result::Error> {
    use api_key_audit_logs as log;
    diesel::insert_into(log::table)
        .values((
            log::user_id.eq(user.map(|user| user.0)),
            log::api_key_id.eq(key.map(|key| key.0)),
            log::action.eq(action),
            log::details.eq(details),
            log::timestamp.eq(now),
            by.map(|by| log::actor.eq(by.to_string())),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds a row of its own, for an act that no transaction of the store does.
///
/// # Errors
/// As for every statement.
pub async fn record(
    store: &Store,
    by: Actor,
    user: Option<UserId>,
    action: &str,
    details: Value,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut connection = store.get().await?;
    Ok(append_by(&mut connection, by, user, None, action, details, now).await?)
}

/// The user's rows that the filter lets through, newest first, at most `limit`; and how many there are in all.
///
/// # Errors
/// As for every statement.
pub async fn list(store: &Store, user: UserId, filter: &AuditFilter) -> Result<(Vec<AuditRow>, i64), StoreError> {
    let mut connection = store.get().await?;
    let rows = filtered(user, filter).order(api_key_audit_logs::id.desc()).limit(filter.limit);
    let rows: Vec<AuditRow> = rows.select(AuditRow::as_select()).load(&mut connection).await?;
    let shown = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let total = if shown < filter.limit { shown } else { filtered(user, filter).count().get_result(&mut connection).await? };
    Ok((rows, total))
}

type Rows<'a> = api_key_audit_logs::BoxedQuery<'a, diesel::pg::Pg>;

fn filtered(user: UserId, filter: &AuditFilter) -> Rows<'_> {
    use api_key_audit_logs as log;
    let mut query = log::table.filter(log::user_id.eq(user.0)).into_boxed();
    if let Some(key) = filter.key {
        query = query.filter(log::api_key_id.eq(key.0));
    }
    if let Some(action) = &filter.action {
        query = query.filter(log::action.eq(action));
    }
    if let Some(from) = filter.from {
        query = query.filter(log::timestamp.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(log::timestamp.le(to));
    }
    query
}

#[derive(QueryableByName)]
struct HeadRow {
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = Bytea)]
    hash: Vec<u8>,
}

/// The last link of the chain; `None` before the first.
///
/// # Errors
/// As for every statement.
pub async fn head(store: &Store) -> Result<Option<AuditHead>, StoreError> {
    let mut connection = store.get().await?;
    let head = diesel::sql_query("SELECT sequence, hash FROM audit_links ORDER BY sequence DESC LIMIT 1");
    let head: Option<HeadRow> = head.get_result(&mut connection).await.optional()?;
    Ok(head.map(|head| AuditHead { sequence: head.sequence, hash: head.hash.try_into().unwrap_or_default() }))
}
