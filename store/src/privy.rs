//! A Privy user who comes back: one transaction over the user's row, which it locks, and the session keys.

use crate::api_keys::{self, CreateKeyError, NewKey};
use crate::schema::users;
use crate::users::{DollarAccounts, UserRow, dollar_accounts};
use crate::{Store, StoreError, audit};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use tollgate_domain::{KeyId, UserId};

/// Whom a DID belongs to.
#[derive(Clone, Debug)]
pub enum PrivyUser {
    /// Nobody yet.
    Unknown,
    /// Somebody whom the operator has shut out: no key was made.
    Inactive,
    SignedIn(Box<PrivySession>),
}

/// A user who is signed in.
#[derive(Clone, Debug)]
pub struct PrivySession {
    pub user: UserRow,
    pub name: Option<String>,
    pub accounts: DollarAccounts,
    /// The fresh key.
    pub key: KeyId,
}

/// Makes a session key for the user with that DID. At most `alive_max` sessions of a user are alive then: the oldest go, and with
/// them those whose time is over. Each has its audit row.
///
/// # Errors
/// As for every statement.
pub async fn open_session(
    store: &Store,
    did: &str,
    new: &NewKey<'_>,
    alive_max: usize,
    now: DateTime<Utc>,
) -> Result<PrivyUser, StoreError> {
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            // Locked: two pages that sign in at once must not both count four.
            let found: Option<(UserRow, Option<String>)> = users::table
                .filter(users::privy_user_id.eq(did))
                .select((UserRow::as_select(), users::name))
                .for_no_key_update()
                .first(connection)
                .await
                .optional()?;
            let Some((user, name)) = found else { return Ok(PrivyUser::Unknown) };
            if !user.is_active {
                return Ok(PrivyUser::Inactive);
            }
            let id = UserId(user.id);
            let Some(accounts) = dollar_accounts(connection, id).await? else { return Ok(PrivyUser::Unknown) };
            make_room(connection, id, alive_max, now).await?;
            let key = match api_keys::insert(connection, id, new, now).await {
                Ok(row) => KeyId(row.id),
                Err(CreateKeyError::Store(error)) => return Err(error),
                // No name of a session is taken.
                Err(CreateKeyError::NameTaken) => return Err(diesel::result::Error::RollbackTransaction.into()),
            };
            audit::append(connection, id, Some(key), "create", new.audit_details(), now).await?;
            Ok(PrivyUser::SignedIn(Box::new(PrivySession { user, name, accounts, key })))
        })
        .await
}

/// Deletes sessions until one more makes `alive_max`.
async fn make_room(connection: &mut AsyncPgConnection, user: UserId, alive_max: usize, now: DateTime<Utc>) -> QueryResult<()> {
    let sessions = api_keys::sessions(connection, user).await?;
    let (alive, over): (Vec<_>, Vec<_>) = sessions.into_iter().partition(|(_, end)| end.is_none_or(|end| end > now));
    let too_many = alive.len().saturating_add(1).saturating_sub(alive_max);
    // Mutant: without the `take` every sign-in ends all other sessions: `five_sessions_are_alive…` is red.
    for (key, _) in over.into_iter().chain(alive.into_iter().take(too_many)) {
        api_keys::delete_in(connection, user, key, now).await?;
    }
    Ok(())
}
