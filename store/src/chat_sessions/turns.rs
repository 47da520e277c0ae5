//! Whose turn a session is, over all replicas: an advisory lock for each session that a call is under way in, on one connection of
//! this replica's. The database frees them with the connection, so a replica that dies holds up nobody.

use crate::schema::chat_sessions;
use crate::{Store, StoreError};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::sync::Mutex;
use tollgate_domain::{SessionId, UserId};

/// Added to a session's id; advisory locks have one space of numbers for all.
const LOCKS_FROM: i64 = 0x7467_0000_0000_0000;

diesel::define_sql_function! {
    fn pg_try_advisory_lock(key: BigInt) -> diesel::sql_types::Bool;
}
diesel::define_sql_function! {
    fn pg_advisory_unlock(key: BigInt) -> diesel::sql_types::Bool;
}

/// What came of asking for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnLock {
    Taken,
    /// It is another replica's.
    Busy,
    /// The user has no such session.
    Unknown,
}

/// The turns that this replica has.
pub struct TurnLocks {
    store: Store,
    /// Opened on first use, and anew when it is lost.
    connection: Mutex<Option<AsyncPgConnection>>,
}

impl TurnLocks {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, connection: Mutex::new(None) }
    }

    /// Takes the turn, if it is free. A connection counts how often it took a lock: within the replica one call at a time asks.
    /// Not to be dropped half way: the lock could be taken and nobody know.
    ///
    /// # Errors
    /// As for every statement.
    pub async fn take(&self, user: UserId, session: SessionId) -> Result<TurnLock, StoreError> {
        let mut slot = self.connection.lock().await;
        // A connection that failed is not put back: what it had locked is free.
        if let Some(mut known) = slot.take() {
            match try_lock(&mut known, user, session).await {
                // Lost since it was used last: another one may do.
                Err(StoreError::Unavailable(_)) => {}
                Err(error) => return Err(error),
                Ok(outcome) => {
                    *slot = Some(known);
                    return Ok(outcome);
                }
            }
        }
        let mut fresh = self.store.dedicated().await?;
        let outcome = try_lock(&mut fresh, user, session).await?;
        *slot = Some(fresh);
        Ok(outcome)
    }

    /// Gives a turn back.
    pub async fn give_back(&self, session: SessionId) {
        let mut slot = self.connection.lock().await;
        let Some(mut connection) = slot.take() else { return };
        let unlock = diesel::select(pg_advisory_unlock(LOCKS_FROM.wrapping_add(session.0)));
        if unlock.get_result::<bool>(&mut connection).await.is_ok() {
            *slot = Some(connection);
        }
    }
}

async fn try_lock(connection: &mut AsyncPgConnection, user: UserId, session: SessionId) -> Result<TurnLock, StoreError> {
    let locked = chat_sessions::table
        .filter(chat_sessions::id.eq(session.0).and(chat_sessions::user_id.eq(user.0)).and(chat_sessions::is_active))
        .select(pg_try_advisory_lock(LOCKS_FROM.wrapping_add(session.0)));
    Ok(match locked.first::<bool>(connection).await.optional()? {
        None => TurnLock::Unknown,
        Some(true) => TurnLock::Taken,
        Some(false) => TurnLock::Busy,
    })
}
