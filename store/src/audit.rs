//! What the owners of keys did with them: the append-only table `api_key_audit_logs`.

use crate::schema::api_key_audit_logs;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use tollgate_domain::{KeyId, UserId};

/// One thing that was done.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = api_key_audit_logs)]
pub struct AuditRow {
    pub id: i64,
    pub user_id: i64,
    pub api_key_id: Option<i64>,
    /// `create`, `update`, `rotate`, `delete`.
    pub action: String,
    /// Never a key.
    pub details: Value,
    pub timestamp: DateTime<Utc>,
}

/// Which rows to list.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub key: Option<KeyId>,
    pub action: Option<String>,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    pub limit: i64,
}

/// Adds a row, inside the transaction of what it tells of.
pub(crate) async fn append(
    connection: &mut AsyncPgConnection,
    user: UserId,
    key: Option<KeyId>,
    action: &str,
    details: Value,
    now: DateTime<Utc>,
) -> Result<(), diesel::result::Error> {
    use api_key_audit_logs as log;
    diesel::insert_into(log::table)
        .values((
            log::user_id.eq(user.0),
            log::api_key_id.eq(key.map(|key| key.0)),
            log::action.eq(action),
            log::details.eq(details),
            log::timestamp.eq(now),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// The user's rows, newest first.
///
/// # Errors
/// As for every statement.
pub async fn list(store: &Store, user: UserId, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
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
    let mut connection = store.get().await?;
    let rows = query.order(log::id.desc()).limit(filter.limit).select(AuditRow::as_select()).load(&mut connection).await?;
    Ok(rows)
}
