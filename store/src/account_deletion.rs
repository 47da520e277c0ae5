//! The deletion of an account: one transaction over every table that has something of a user (decision 28).
//!
//! What stays, without anything personal: the books (accounts, holds, transfers, usage records, operations and their totals), which
//! know a user as a number; and the audit rows, whose details and salts go. The number itself is never given to anybody again.

use crate::audit::{self, Actor, DELETE_ACCOUNT};
use crate::schema::{accounts, api_key_audit_logs, users};
use crate::users::{DollarAccounts, dollar_accounts};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::json;
use tollgate_domain::{Nanos, UserId};

/// Everything of these users ($1), table by table. What hangs on the row of `users` goes with it: keys and their limits, plans.
///
/// A new table with something of a user gets its line here; `tests/api/account_deletion.rs` finds the one that is forgotten.
const ERASURES: [&str; 9] = [
    "DELETE FROM activity_events WHERE user_id = ANY($1)",
    "DELETE FROM activity_daily WHERE user_id = ANY($1)",
    "DELETE FROM activity_totals WHERE user_id = ANY($1)",
    "DELETE FROM failed_attempts WHERE user_id = ANY($1)",
    "DELETE FROM idempotency_keys WHERE user_id = ANY($1)",
    "DELETE FROM rate_limit_alerts WHERE user_id = ANY($1)",
    // Of keys that are gone before their user, the audit rows know.
    "DELETE FROM limit_counters WHERE (scope = 'user' AND subject_id = ANY($1)) OR (scope = 'key' AND subject_id IN
         (SELECT api_key_id FROM api_key_audit_logs WHERE user_id = ANY($1)))",
    "UPDATE api_key_audit_logs SET details = '{}', salt = NULL
     WHERE user_id = ANY($1) AND salt IS NOT NULL AND action <> 'delete_account'",
    "DELETE FROM users WHERE id = ANY($1)",
];

/// What a deletion leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// The balance that nobody can spend any more, without what calls under way have reserved.
    pub forfeited: Nanos,
}

/// Deletes a user and everything of theirs, or nothing. `None` when there is no such user.
///
/// Calls under way settle on the accounts, which stay. What they and their replica's memory write behind the deletion's back, a
/// [`sweep`] finds.
///
/// # Errors
/// As for every statement.
pub async fn delete(store: &Store, by: Actor, user: UserId, now: DateTime<Utc>) -> Result<Option<Deleted>, StoreError> {
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            // From here on nobody can add a key, a plan or a session.
            let locked = users::table.find(user.0).select(users::id).for_update();
            let found: Option<i64> = locked.first(connection).await.optional()?;
            let (Some(_), Some(accounts)) = (found, dollar_accounts(connection, user).await?) else { return Ok(None) };
            let forfeited = free_balance(connection, accounts).await?;
            let details = json!({"forfeited_credits": forfeited});
            audit::append_by(connection, by, Some(user), None, DELETE_ACCOUNT, details, now).await?;
            erase(connection, &[user.0]).await?;
            Ok(Some(Deleted { forfeited }))
        })
        .await
}

async fn free_balance(connection: &mut AsyncPgConnection, accounts: DollarAccounts) -> QueryResult<Nanos> {
    let balance = accounts::table.find(accounts.credits.0).select((accounts::posted, accounts::held));
    let (posted, held): (i64, i64) = balance.first(connection).await?;
    Ok(Nanos(posted.saturating_sub(held)))
}

async fn erase(connection: &mut AsyncPgConnection, users: &[i64]) -> QueryResult<usize> {
    let mut rows = 0;
    for erasure in ERASURES {
        rows += diesel::sql_query(erasure).bind::<Array<BigInt>, _>(users).execute(connection).await?;
    }
    Ok(rows)
}

/// Erases once more what belongs to accounts deleted since then: rows that came after their deletion, from calls that were under
/// way, counts in memory, journals. Answers how many.
///
/// # Errors
/// As for every statement.
pub async fn sweep(store: &Store, since: DateTime<Utc>) -> Result<usize, StoreError> {
    use api_key_audit_logs as log;
    let mut connection = store.get().await?;
    let deleted = log::table.filter(log::action.eq(DELETE_ACCOUNT).and(log::timestamp.ge(since)));
    let deleted: Vec<Option<i64>> = deleted.select(log::user_id).distinct().load(&mut connection).await?;
    let deleted: Vec<i64> = deleted.into_iter().flatten().collect();
    if deleted.is_empty() {
        return Ok(0);
    }
    connection.transaction(async |connection| Ok(erase(connection, &deleted).await?)).await
}
