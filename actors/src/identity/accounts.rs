//! What changes an account as a whole: its profile, its role, its end.

use super::actor::IdentityActor;
use super::{Identity, IdentityError, Shared};
use actix::{Handler, Message, ResponseFuture};
use futures_util::FutureExt;
use std::sync::Arc;
use tollgate_domain::UserId;
use tollgate_store::account_deletion::{self, Deleted};
use tollgate_store::audit::Actor;
use tollgate_store::profiles::{self, ProfileChange, ProfileRow};

/// Change what a user says of themselves. Answers the whole of it.
#[derive(Message)]
#[rtype(result = "Result<ProfileRow, IdentityError>")]
pub struct UpdateProfile {
    pub user: UserId,
    /// Not empty.
    pub change: ProfileChange,
}

/// Make a user an administrator, or an ordinary user again. Answers whether that is new.
#[derive(Message)]
#[rtype(result = "Result<bool, IdentityError>")]
pub struct SetAdmin {
    pub by: Actor,
    pub user: UserId,
    pub is_admin: bool,
}

/// Delete an account and everything of it; its keys are refused here at once and within a second everywhere.
#[derive(Message)]
#[rtype(result = "Result<Deleted, IdentityError>")]
pub struct DeleteAccount {
    pub by: Actor,
    pub user: UserId,
}

impl Identity {
    /// What a user says of themselves.
    ///
    /// # Errors
    /// `UnknownUser`.
    pub async fn profile(&self, user: UserId) -> Result<ProfileRow, IdentityError> {
        profiles::find(&self.shared.store, user).await?.ok_or(IdentityError::UnknownUser)
    }

    /// Changes it; answers the whole of it.
    ///
    /// # Errors
    /// `EmailTaken`, `UnknownUser`.
    pub async fn update_profile(&self, update: UpdateProfile) -> Result<ProfileRow, IdentityError> {
        self.handle.ask_flat(update).await
    }

    /// Gives or takes the administrator's role; `false` when it was so already.
    ///
    /// # Errors
    /// `UnknownUser`.
    pub async fn set_admin(&self, set: SetAdmin) -> Result<bool, IdentityError> {
        self.handle.ask_flat(set).await
    }

    /// Deletes an account.
    ///
    /// # Errors
    /// `UnknownUser`.
    pub async fn delete_account(&self, delete: DeleteAccount) -> Result<Deleted, IdentityError> {
        self.handle.ask_flat(delete).await
    }
}

impl Handler<UpdateProfile> for IdentityActor {
    type Result = ResponseFuture<Result<ProfileRow, IdentityError>>;

    fn handle(&mut self, UpdateProfile { user, change }: UpdateProfile, _: &mut Self::Context) -> Self::Result {
        let shared = self.shared();
        async move {
            let updated = profiles::update(&shared.store, user, &change, shared.clock.now()).await?;
            changed(&shared, user);
            updated.ok_or(IdentityError::UnknownUser)
        }
        .boxed_local()
    }
}

impl Handler<SetAdmin> for IdentityActor {
    type Result = ResponseFuture<Result<bool, IdentityError>>;

    fn handle(&mut self, SetAdmin { by, user, is_admin }: SetAdmin, _: &mut Self::Context) -> Self::Result {
        let shared = self.shared();
        async move {
            let set = profiles::set_admin(&shared.store, by, user, is_admin, shared.clock.now()).await?;
            changed(&shared, user);
            set.ok_or(IdentityError::UnknownUser)
        }
        .boxed_local()
    }
}

impl Handler<DeleteAccount> for IdentityActor {
    type Result = ResponseFuture<Result<Deleted, IdentityError>>;

    fn handle(&mut self, DeleteAccount { by, user }: DeleteAccount, _: &mut Self::Context) -> Self::Result {
        let shared = self.shared();
        async move {
            let deleted = account_deletion::delete(&shared.store, by, user, shared.clock.now()).await?;
            changed(&shared, user);
            deleted.ok_or(IdentityError::UnknownUser)
        }
        .boxed_local()
    }
}

/// Known here at once; the others learn it from the change.
fn changed(shared: &Arc<Shared>, user: UserId) {
    shared.cache.freshness.mark(user);
}
