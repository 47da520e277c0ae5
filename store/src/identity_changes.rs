//! How replicas learn that a cached key is stale: the table `identity_changes`, which triggers fill, and its NOTIFY.

use crate::schema::identity_changes::dsl;
use crate::{Store, StoreError};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Double};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::StreamExt;
use std::time::Duration;
use tollgate_domain::UserId;

/// The owner of something that changed: the user, one of its keys, a key's limits, its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Rises, with gaps, but a transaction may commit later than one with a higher id.
    pub id: i64,
    pub user: UserId,
}

/// A connection of one's own that listens on `identity` and can read the table, too.
pub struct ChangesConnection(AsyncPgConnection);

impl ChangesConnection {
    /// Connects; `listen` is false where only the table shall be read.
    ///
    /// # Errors
    /// `Unavailable` when the database can't be reached.
    pub async fn open(store: &Store, listen: bool) -> Result<Self, StoreError> {
        let mut connection = store.dedicated().await?;
        if listen {
            connection.batch_execute("LISTEN identity").await?;
        }
        Ok(Self(connection))
    }

    /// The next user that a notification names. Notifications wait while the table is read. Cancel safe.
    ///
    /// # Errors
    /// `Unavailable` when the connection is lost.
    pub async fn notified(&mut self) -> Result<UserId, StoreError> {
        let mut notifications = std::pin::pin!(self.0.notifications_stream());
        loop {
            let Some(notification) = notifications.next().await else {
                return Err(StoreError::Unavailable("the listening connection was closed".to_owned()));
            };
            // A payload that is no id was sent by a stranger.
            if let Ok(user) = notification?.payload.parse() {
                return Ok(UserId(user));
            }
        }
    }

    /// What changed within the last `window` by the database's clock, at most ten thousand changes, oldest first.
    ///
    /// # Errors
    /// `Unavailable` when the connection is lost.
    pub async fn recent(&mut self, window: Duration) -> Result<Vec<Change>, StoreError> {
        let rows: Vec<(i64, i64)> = dsl::identity_changes
            .filter(
                sql::<Bool>("changed_at > clock_timestamp() - make_interval(secs => ")
                    .bind::<Double, _>(window.as_secs_f64())
                    .sql(")"),
            )
            .select((dsl::id, dsl::user_id))
            .order(dsl::changed_at.desc())
            .limit(RECENT_MAX)
            .load(&mut self.0)
            .await?;
        Ok(rows.into_iter().rev().map(|(id, user)| Change { id, user: UserId(user) }).collect())
    }
}

/// A read that returns this many may have missed some: its reader takes everything for changed.
pub const RECENT_MAX: i64 = 10_000;

/// Forgets changes that are older than `age` by the database's clock. Returns how many.
///
/// # Errors
/// As for every statement.
pub async fn prune(store: &Store, age: Duration) -> Result<usize, StoreError> {
    let mut connection = store.get().await?;
    let old =
        sql::<Bool>("changed_at < clock_timestamp() - make_interval(secs => ").bind::<Double, _>(age.as_secs_f64()).sql(")");
    Ok(diesel::delete(dsl::identity_changes.filter(old)).execute(&mut connection).await?)
}
