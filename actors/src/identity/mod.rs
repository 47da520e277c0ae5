//! Identity: who is calling, and what callers do with their keys.
//!
//! Owns the snapshots of callers that every request reads, the counts of what keys and trials use, and every change of
//! users, keys, limits and plans.
//!
//! - A known key costs one HMAC and two look-ups in memory: no message, no I/O ([`Identity::find_key`]).
//! - A change is seen here at once and on every replica within a second, NOTIFY or not (`follower`, `freshness`).
//! - Bounds: 100,000 callers and 20,000 unknown keys in memory, 4,096 messages under way, one reading of a key at a time
//!   however many ask for it, 100,000 addresses counted for registrations.
//! - A restart of the actor loses the counts of registrations per address. A crash of the process loses the last two
//!   seconds of `last_used_at`, of uncapped keys' `requests_used` and of trials' counts; never a capped key's, never
//!   money. Sign-up credits not yet granted are granted at the next start.

mod accounts;
mod actor;
mod cache;
mod caller;
mod changes;
pub mod checks;
mod chores;
mod follower;
mod freshness;
pub mod keys;
pub mod messages;
mod meters;
mod registrations;
mod sign_in;

pub use accounts::{DeleteAccount, SetAdmin, UpdateProfile};
pub use caller::{
    Caller, CallerDefaults, Plan, PlanLimits, RateLimits, Trial, TrialRefusal, TrialSlot, TrialTerms, WITHOUT_PLAN,
};
pub use messages::{
    AddCredits, AssignPlan, CreateKey, CreatedKey, DeleteKey, IdentityError, KeyEdit, LimitTarget, Register, Registration,
    RotateKey, RotateKeys, SetLimits, SignIn, SignedIn, UpdateKey,
};
pub use tollgate_store::api_keys::BudgetChange;
pub use tollgate_store::audit::Actor;
pub use tollgate_store::rate_limits::{NewLimits, SetBy};

use crate::ledger::{Balance, Credit, Ledger, LedgerError};
use crate::ports::Clock;
use crate::runtime::{self, AskError, Handle, InFlight, Supervision};
use actix_rt::ArbiterHandle;
use actor::IdentityActor;
use cache::{CallerCache, Found};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use keys::Peppers;
use messages::{FindKey, OpenSession, TakeRequest};
use meters::{Meters, Spent, TrialMeter};
use moka::sync::Cache;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tollgate_domain::{KeyId, Nanos, UserId};
use tollgate_store::api_keys::{self, KeyRow};
use tollgate_store::ledger::{BudgetLeft, budgets_left};
use tollgate_store::users::{DollarAccounts, UserRow};
use tollgate_store::{Store, rate_limits, users};

/// More messages under way than a database with 16 connections answers in its two seconds of patience.
const CAPACITY: usize = 4_096;

/// Trials whose counts are held; one that falls out is read from the database again.
const TRIALS_MAX: u64 = 100_000;

/// The ledger, as far as identity needs it.
pub trait Treasury: Send + Sync {
    /// Puts money into a user's credits, once per id.
    fn credit(&self, credit: Credit) -> BoxFuture<'_, Result<Balance, LedgerError>>;
}

impl Treasury for Ledger {
    fn credit(&self, credit: Credit) -> BoxFuture<'_, Result<Balance, LedgerError>> {
        Self::credit(self, credit).boxed()
    }
}

/// The settings of identity.
pub struct IdentityOptions {
    pub peppers: Peppers,
    /// What a new user is granted once.
    pub signup_credits: Nanos,
    pub trial: TrialTerms,
    /// Of keys without limits of their own.
    pub default_limits: RateLimits,
    /// Registrations per address and hour; 0 for no limit.
    pub register_per_hour: u32,
    /// False where only the table of changes shall be read: for tests that cut NOTIFY.
    pub listen: bool,
}

/// What identity works with.
pub struct IdentityDeps {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub treasury: Arc<dyn Treasury>,
    /// Where keys' randomness comes from.
    pub rng: rand::rngs::StdRng,
}

/// The handle: the snapshots, and the way to the actor.
#[derive(Clone)]
pub struct Identity {
    shared: Arc<Shared>,
    handle: Handle<IdentityActor>,
}

/// What the handle and the actor share.
struct Shared {
    store: Store,
    clock: Arc<dyn Clock>,
    treasury: Arc<dyn Treasury>,
    options: IdentityOptions,
    cache: CallerCache,
    meters: Meters,
    trials: Cache<UserId, Arc<TrialMeter>>,
    /// Requests of caps that are on their way back.
    returns: InFlight,
}

/// Starts identity on that arbiter.
pub fn start(arbiter: &ArbiterHandle, supervision: &Supervision, options: IdentityOptions, deps: IdentityDeps) -> Identity {
    let IdentityDeps { store, clock, treasury, rng } = deps;
    let shared = Arc::new(Shared {
        store,
        clock,
        treasury,
        options,
        cache: CallerCache::new(),
        meters: Meters::default(),
        trials: Cache::builder().max_capacity(TRIALS_MAX).time_to_idle(Duration::from_secs(3_600)).build(),
        returns: InFlight::default(),
    });
    let of_actor = Arc::clone(&shared);
    let handle = runtime::start(arbiter, "identity", CAPACITY, supervision, |_| IdentityActor::new(of_actor, rng));
    Identity { shared, handle }
}

impl Identity {
    /// The caller with this key, whether or not the key may be used: [`checks::check`] says that. From memory when
    /// known; else asked of the database, once for all who ask at the same time. When the database is away, what was
    /// last known is answered: the ledger refuses then anyway.
    ///
    /// # Errors
    /// `UnknownKey`; `Overloaded` or `Unavailable` when it can't be told.
    pub async fn find_key(&self, presented: &str) -> Result<Arc<Caller>, IdentityError> {
        if !keys::is_well_formed(presented) {
            return Err(IdentityError::UnknownKey);
        }
        let hash = self.shared.options.peppers.hash(presented);
        let stale = match self.shared.cache.get(&hash) {
            Found::Caller(caller) => return Ok(caller),
            Found::Unknown => return Err(IdentityError::UnknownKey),
            Found::Stale(caller) => Some(caller),
            Found::Nothing => None,
        };
        let older = self.shared.options.peppers.older_hashes(presented);
        match (self.handle.ask_flat(FindKey { hash, older }).await, stale) {
            (Err(IdentityError::Unavailable), Some(caller)) => Ok(caller),
            (answer, _) => answer,
        }
    }

    /// The caller with this key when memory knows it for sure.
    #[must_use]
    pub fn cached(&self, presented: &str) -> Option<Arc<Caller>> {
        if !keys::is_well_formed(presented) {
            return None;
        }
        match self.shared.cache.get(&self.shared.options.peppers.hash(presented)) {
            Found::Caller(caller) => Some(caller),
            Found::Stale(_) | Found::Unknown | Found::Nothing => None,
        }
    }

    /// Takes one request of the key's cap, exact over replicas; nothing is asked of the database for a key without one.
    /// The slot gives it back unless it is kept.
    ///
    /// # Errors
    /// `RequestCap` when the cap is reached.
    pub async fn take_request(&self, caller: &Arc<Caller>) -> Result<RequestSlot, IdentityError> {
        if caller.max_requests.is_none() {
            return Ok(RequestSlot { taken: None });
        }
        self.handle.ask_flat(TakeRequest(Arc::clone(caller))).await
    }

    /// The key was used: `last_used_at`, written within seconds.
    pub fn seen(&self, caller: &Caller) {
        self.shared.meters.key_used(&caller.meter, false, self.shared.clock.now());
    }

    /// A model call was made with the key: also counts as one of its requests. A capped key's are counted by
    /// [`Identity::take_request`].
    pub fn used(&self, caller: &Caller) {
        self.shared.meters.key_used(&caller.meter, true, self.shared.clock.now());
    }

    /// The caller's trial has used this much; negative numbers take back. Nothing happens without a trial.
    pub fn trial_used(&self, caller: &Caller, tokens: i64, requests: i64) {
        if let Some(trial) = &caller.trial {
            self.shared.meters.trial_used(&trial.meter, tokens, requests);
        }
    }

    /// A call of a trial has ended, and used so many tokens.
    pub fn trial_settled(&self, mut slot: TrialSlot, tokens: i64) {
        let reserved = std::mem::take(&mut slot.part);
        self.shared.meters.trial_settled(&slot.meter, reserved, Spent { tokens, requests: 1 });
    }

    /// Registers a user.
    ///
    /// # Errors
    /// `UsernameTaken`, `EmailTaken`, `GrantTooLarge`, `TooManyRegistrations`.
    pub async fn register(&self, register: Register) -> Result<Registration, IdentityError> {
        self.handle.ask_flat(register).await
    }

    /// Signs a Privy user in. A first sign-in is a registration: it is counted for the address, granted and on trial.
    ///
    /// # Errors
    /// `InactiveUser`, `TooManyRegistrations`.
    pub async fn sign_in(&self, sign_in: SignIn) -> Result<SignedIn, IdentityError> {
        match self.handle.ask_flat(OpenSession { did: sign_in.did.clone() }).await? {
            Some(signed_in) => Ok(signed_in),
            None => self.handle.ask_flat(sign_in).await,
        }
    }

    /// Makes a further key.
    ///
    /// # Errors
    /// `KeyNameTaken`.
    pub async fn create_key(&self, create: CreateKey) -> Result<CreatedKey, IdentityError> {
        self.handle.ask_flat(create).await
    }

    /// Changes one of the user's keys; answers what it is then.
    ///
    /// # Errors
    /// `UnknownKey` when the user has no such key, `KeyNameTaken`, `CapBelowUse`, `NoBudget`.
    pub async fn update_key(&self, update: UpdateKey) -> Result<KeyRow, IdentityError> {
        self.handle.ask_flat(update).await
    }

    /// Gives a key a new secret. The one before it works to the end of the grace; one before that ends at once.
    ///
    /// # Errors
    /// As [`Identity::update_key`], and `RotateInactive`, `RotateExpired`, `BeyondScopes`.
    pub async fn rotate_key(&self, rotate: RotateKey) -> Result<CreatedKey, IdentityError> {
        self.handle.ask_flat(rotate).await
    }

    /// Gives all of the user's live keys new secrets, or those of one environment; all of them or none.
    ///
    /// # Errors
    /// `UnknownKey`, `BeyondScopes`, `TooManyKeys`.
    pub async fn rotate_keys(&self, rotate: RotateKeys) -> Result<Vec<CreatedKey>, IdentityError> {
        self.handle.ask_flat(rotate).await
    }

    /// Deletes one of the user's keys; answers what it was.
    ///
    /// # Errors
    /// `UnknownKey` when the user has no such key.
    pub async fn delete_key(&self, user: UserId, key: KeyId) -> Result<KeyRow, IdentityError> {
        self.handle.ask_flat(DeleteKey { user, key }).await
    }

    /// Sets limits; answers for how many keys.
    ///
    /// # Errors
    /// `UnknownUser` when the target has no keys, `UnknownKey` when one of them is not the user's, `AboveGrant`.
    pub async fn set_limits(&self, set: SetLimits) -> Result<usize, IdentityError> {
        self.handle.ask_flat(set).await
    }

    /// Puts a user on a plan; answers the plan's name.
    ///
    /// # Errors
    /// `UnknownPlan`, `UnknownUser`.
    pub async fn assign_plan(&self, assign: AssignPlan) -> Result<String, IdentityError> {
        self.handle.ask_flat(assign).await
    }

    /// Gives a user credits and ends the trial; answers the balance after it.
    ///
    /// # Errors
    /// `UnknownUser`, or the ledger's.
    pub async fn add_credits(&self, add: AddCredits) -> Result<Balance, IdentityError> {
        self.handle.ask_flat(add).await
    }

    /// The user's keys and those of the user's web sessions, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database is away.
    pub async fn list_keys_with_sessions(&self, user: UserId) -> Result<Vec<KeyRow>, IdentityError> {
        Ok(api_keys::list_with_sessions(&self.shared.store, user).await?)
    }

    /// The user's own keys, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database is away.
    pub async fn list_keys(&self, user: UserId) -> Result<Vec<KeyRow>, IdentityError> {
        Ok(api_keys::list(&self.shared.store, user).await?)
    }

    /// What is left of these keys' budgets, of the last period in which each was used.
    ///
    /// # Errors
    /// `Unavailable` when the database is away.
    pub async fn budgets_left(&self, keys: &[KeyId]) -> Result<HashMap<KeyId, BudgetLeft>, IdentityError> {
        let rows = budgets_left(&self.shared.store, keys).await?;
        Ok(rows.into_iter().map(|row| (KeyId(row.api_key_id), row)).collect())
    }

    /// The user's keys, newest first, and what each may do.
    ///
    /// # Errors
    /// `Unavailable` when the database is away.
    pub async fn list_limits(&self, user: UserId) -> Result<Vec<(KeyRow, RateLimits)>, IdentityError> {
        let own: HashMap<KeyId, RateLimits> = rate_limits::of_user(&self.shared.store, user).await?.into_iter().collect();
        let with_limits = |key: KeyRow| {
            let limits = own.get(&KeyId(key.id)).copied().unwrap_or(self.shared.options.default_limits);
            (key, limits)
        };
        Ok(self.list_keys(user).await?.into_iter().map(with_limits).collect())
    }

    /// The user and their accounts.
    ///
    /// # Errors
    /// `UnknownUser`.
    pub async fn user(&self, user: UserId) -> Result<(UserRow, DollarAccounts), IdentityError> {
        users::find(&self.shared.store, user).await?.ok_or(IdentityError::UnknownUser)
    }

    /// Makes the actor panic, for tests of the supervision.
    #[cfg(any(test, feature = "fault-injection"))]
    pub async fn crash(&self) {
        let _ = self.handle.ask(crate::runtime::Crash).await;
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &IdentityOptions {
        &self.shared.options
    }

    /// Finishes what is begun and writes every count, within that time.
    ///
    /// # Errors
    /// `Timeout` when the database did not take the counts.
    pub async fn drain(&self, limit: Duration) -> Result<(), AskError> {
        self.handle.drain(limit).await
    }
}

/// One request of a key's cap. Given back when dropped, unless kept.
#[must_use]
pub struct RequestSlot {
    taken: Option<(Arc<Caller>, Arc<Shared>)>,
}

impl RequestSlot {
    /// The request was made: it counts.
    pub fn keep(mut self) {
        self.taken = None;
    }
}

impl Drop for RequestSlot {
    // Mutant: an empty body turns `a_key_with_a_cap_makes_exactly_as_many_requests_over_two_replicas` red.
    fn drop(&mut self) {
        let Some((caller, shared)) = self.taken.take() else { return };
        let under_way = shared.returns.token();
        let io = shared.store.io().clone();
        io.spawn(async move {
            match api_keys::return_request(&shared.store, caller.key).await {
                Ok(used) => used.into_iter().for_each(|used| caller.meter.set_used(used)),
                Err(error) => tracing::warn!(key = %caller.key, %error, "a request of a key's cap was not given back"),
            }
            drop(under_way);
        });
    }
}

#[cfg(test)]
pub(crate) mod tests;
