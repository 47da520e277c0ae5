//! The actor: reads callers once for all who ask, changes users and keys, and keeps the rhythm of the rest.

use super::cache::Found;
use super::caller::{Caller, CallerDefaults, Trial};
use super::freshness::Moment;
use super::keys::{KeyHash, MintedKey};
use super::messages::{
    AddCredits, AssignPlan, CreateKey, CreatedKey, DeleteKey, FindKey, IdentityError, OpenSession, Register, Registration,
    RotateKey, RotateKeys, SetLimits, SignIn, SignedIn, TakeRequest, UpdateKey,
};
use super::meters::TrialMeter;
use super::registrations::Registrations;
use super::{RequestSlot, Shared, changes, chores, follower, sign_in};
use crate::ledger::Balance;
use crate::runtime::Drain;
use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture, Supervised};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared as SharedFuture, WeakShared};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tollgate_domain::UserId;
use tollgate_store::api_keys::{self, CallerRow, KeyRow};

/// How long counts stay in memory only.
const FLUSH_EVERY: Duration = Duration::from_secs(2);

/// How often pending grants and old changes are looked after.
const CHORES_EVERY: Duration = Duration::from_secs(60);

/// How long a drain pauses before it tries again to write the counts.
const DRAIN_PAUSE: Duration = Duration::from_millis(100);

type Answer = Result<Arc<Caller>, IdentityError>;

/// A reading under way: whoever asks for the same key meanwhile gets its answer, if the reading is recent enough.
struct Reading {
    began: Moment,
    answer: WeakShared<BoxFuture<'static, Answer>>,
}

pub struct IdentityActor {
    shared: Arc<Shared>,
    rng: StdRng,
    registrations: Registrations,
    readings: HashMap<KeyHash, Reading>,
    /// Runs on the I/O runtime, where no busy actor can delay it.
    follower: Option<JoinHandle<()>>,
}

impl IdentityActor {
    pub(super) fn new(shared: Arc<Shared>, rng: StdRng) -> Self {
        let registrations = Registrations::new(shared.options.register_per_hour);
        Self { shared, rng, registrations, readings: HashMap::new(), follower: None }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Starts the follower, and again should it ever have ended.
    fn keep_following(&mut self) {
        if self.follower.as_ref().is_none_or(JoinHandle::is_finished) {
            let shared = Arc::clone(&self.shared);
            let listen = shared.options.listen;
            let io = shared.store.io().clone();
            self.follower = Some(io.spawn(follower::follow(shared, listen)));
        }
    }

    /// Writes the counts, beside the actor: a restart must not lose a batch.
    fn flush(&self) {
        let shared = Arc::clone(&self.shared);
        actix_rt::spawn(async move {
            if let Err(error) = shared.meters.flush(&shared.store).await {
                tracing::warn!(%error, "counts of keys and trials wait for the database");
            }
        });
    }

    fn do_chores(&self) {
        let shared = Arc::clone(&self.shared);
        actix_rt::spawn(async move {
            let (granted, pruned) = (chores::grant_pending(&shared).await, chores::prune_changes(&shared).await);
            if let Some(error) = granted.err().or(pruned.err()) {
                tracing::warn!(%error, "the chores of identity wait for the database");
            }
        });
    }

    fn mint(&mut self, environment: super::keys::Environment) -> MintedKey {
        self.shared.options.peppers.mint(environment, &mut self.rng)
    }

    /// The reading of that key under way, if it began late enough to be believed.
    fn reading(&self, hash: &KeyHash, user: Option<UserId>) -> Option<SharedFuture<BoxFuture<'static, Answer>>> {
        let reading = self.readings.get(hash)?;
        let believed = user.is_none_or(|user| self.shared.cache.freshness.believes(user, reading.began));
        if believed { reading.answer.upgrade() } else { None }
    }
}

impl Actor for IdentityActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.keep_following();
        self.do_chores();
        context.run_interval(FLUSH_EVERY, |actor, _| {
            actor.keep_following();
            actor.flush();
            actor.readings.retain(|_, reading| reading.answer.upgrade().is_some());
        });
        context.run_interval(CHORES_EVERY, |actor, _| actor.do_chores());
    }
}

impl Supervised for IdentityActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.registrations = Registrations::new(self.shared.options.register_per_hour);
        self.readings.clear();
    }
}

impl Drop for IdentityActor {
    fn drop(&mut self) {
        if let Some(follower) = &self.follower {
            follower.abort();
        }
    }
}

impl Handler<FindKey> for IdentityActor {
    type Result = ResponseFuture<Answer>;

    fn handle(&mut self, FindKey { hash, older }: FindKey, _: &mut Self::Context) -> Self::Result {
        let stale = match self.shared.cache.get(&hash) {
            // Someone who asked a moment earlier has had it read.
            Found::Caller(caller) => return std::future::ready(Ok(caller)).boxed_local(),
            Found::Unknown => return std::future::ready(Err(IdentityError::UnknownKey)).boxed_local(),
            Found::Stale(caller) => Some(caller.user),
            Found::Nothing => None,
        };
        let answer = self.reading(&hash, stale).unwrap_or_else(|| {
            let began = self.shared.cache.freshness.now();
            let answer = read(Arc::clone(&self.shared), hash, older, began).boxed().shared();
            if let Some(weak) = answer.downgrade() {
                self.readings.insert(hash, Reading { began, answer: weak });
            }
            answer
        });
        answer.boxed_local()
    }
}

/// Reads a caller from the database into the cache. What changed while it was read is read once more.
async fn read(shared: Arc<Shared>, hash: KeyHash, older: Vec<KeyHash>, mut began: Moment) -> Answer {
    const READINGS_MAX: usize = 2;
    let freshness = &shared.cache.freshness;
    let hashes: Vec<&[u8]> = std::iter::once(&hash).chain(&older).map(|hash| hash.0.as_slice()).collect();
    let mut found = None;
    for _ in 0..READINGS_MAX {
        let row = api_keys::find_caller(&shared.store, &hashes).await?;
        found = row.map(|row| Arc::new(caller_of(&shared, row)));
        if found.as_ref().is_none_or(|caller| freshness.believes(caller.user, began)) {
            break;
        }
        began = freshness.now();
    }
    shared.cache.put(hash, found.clone(), began);
    found.ok_or(IdentityError::UnknownKey)
}

fn caller_of(shared: &Shared, row: CallerRow) -> Caller {
    let defaults = CallerDefaults { limits: shared.options.default_limits, trial: shared.options.trial };
    // Switched off, trials that have begun don't bind anyone any more.
    let trial = row.user.trial_expires_at.filter(|_| defaults.trial.days > 0).map(|expires_at| {
        let user = UserId(row.user.id);
        let meter = shared.trials.get_with(user, || Arc::new(TrialMeter::new(user)));
        meter.learn(row.user.trial_used_tokens, row.user.trial_used_requests);
        Trial { expires_at, tokens_max: defaults.trial.tokens, requests_max: defaults.trial.requests, meter }
    });
    Caller::from_row(row, &defaults, trial)
}

impl Handler<Register> for IdentityActor {
    type Result = ResponseFuture<Result<Registration, IdentityError>>;

    fn handle(&mut self, register: Register, _: &mut Self::Context) -> Self::Result {
        let now = self.shared.clock.now();
        let admitted = register.address.map_or(Ok(()), |address| self.registrations.admit(address, now));
        if let Err(retry_after) = admitted {
            return std::future::ready(Err(IdentityError::TooManyRegistrations { retry_after })).boxed_local();
        }
        let minted = self.mint(register.environment);
        chores::register(Arc::clone(&self.shared), register, minted).boxed_local()
    }
}

impl Handler<OpenSession> for IdentityActor {
    type Result = ResponseFuture<Result<Option<SignedIn>, IdentityError>>;

    fn handle(&mut self, OpenSession { did }: OpenSession, _: &mut Self::Context) -> Self::Result {
        let minted = self.mint(sign_in::ENVIRONMENT);
        let shared = Arc::clone(&self.shared);
        async move { sign_in::open_session(&shared, &did, &minted).await }.boxed_local()
    }
}

impl Handler<SignIn> for IdentityActor {
    type Result = ResponseFuture<Result<SignedIn, IdentityError>>;

    fn handle(&mut self, sign_in: SignIn, _: &mut Self::Context) -> Self::Result {
        let now = self.shared.clock.now();
        let admitted = sign_in.address.map_or(Ok(()), |address| self.registrations.admit(address, now));
        if let Err(retry_after) = admitted {
            return std::future::ready(Err(IdentityError::TooManyRegistrations { retry_after })).boxed_local();
        }
        let minted = self.mint(sign_in::ENVIRONMENT);
        let names = sign_in::usernames(&sign_in, &mut self.rng);
        sign_in::sign_up(Arc::clone(&self.shared), sign_in, names, minted).boxed_local()
    }
}

impl Handler<CreateKey> for IdentityActor {
    type Result = ResponseFuture<Result<CreatedKey, IdentityError>>;

    fn handle(&mut self, create: CreateKey, _: &mut Self::Context) -> Self::Result {
        let minted = self.mint(create.environment);
        chores::create_key(Arc::clone(&self.shared), create, minted).boxed_local()
    }
}

impl Handler<UpdateKey> for IdentityActor {
    type Result = ResponseFuture<Result<KeyRow, IdentityError>>;

    fn handle(&mut self, update: UpdateKey, _: &mut Self::Context) -> Self::Result {
        changes::update_key(Arc::clone(&self.shared), update).boxed_local()
    }
}

impl Handler<RotateKey> for IdentityActor {
    type Result = ResponseFuture<Result<CreatedKey, IdentityError>>;

    fn handle(&mut self, rotate: RotateKey, _: &mut Self::Context) -> Self::Result {
        let rng = StdRng::from_rng(&mut self.rng);
        changes::rotate_key(Arc::clone(&self.shared), rotate, rng).boxed_local()
    }
}

impl Handler<RotateKeys> for IdentityActor {
    type Result = ResponseFuture<Result<Vec<CreatedKey>, IdentityError>>;

    fn handle(&mut self, rotate: RotateKeys, _: &mut Self::Context) -> Self::Result {
        let rng = StdRng::from_rng(&mut self.rng);
        changes::rotate_keys(Arc::clone(&self.shared), rotate, rng).boxed_local()
    }
}

impl Handler<DeleteKey> for IdentityActor {
    type Result = ResponseFuture<Result<KeyRow, IdentityError>>;

    fn handle(&mut self, delete: DeleteKey, _: &mut Self::Context) -> Self::Result {
        chores::delete_key(Arc::clone(&self.shared), delete.user, delete.key).boxed_local()
    }
}

impl Handler<SetLimits> for IdentityActor {
    type Result = ResponseFuture<Result<usize, IdentityError>>;

    fn handle(&mut self, set: SetLimits, _: &mut Self::Context) -> Self::Result {
        chores::set_limits(Arc::clone(&self.shared), set).boxed_local()
    }
}

impl Handler<AssignPlan> for IdentityActor {
    type Result = ResponseFuture<Result<String, IdentityError>>;

    fn handle(&mut self, assign: AssignPlan, _: &mut Self::Context) -> Self::Result {
        chores::assign_plan(Arc::clone(&self.shared), assign).boxed_local()
    }
}

impl Handler<AddCredits> for IdentityActor {
    type Result = ResponseFuture<Result<Balance, IdentityError>>;

    fn handle(&mut self, add: AddCredits, _: &mut Self::Context) -> Self::Result {
        chores::add_credits(Arc::clone(&self.shared), add).boxed_local()
    }
}

impl Handler<TakeRequest> for IdentityActor {
    type Result = ResponseFuture<Result<RequestSlot, IdentityError>>;

    fn handle(&mut self, TakeRequest(caller): TakeRequest, _: &mut Self::Context) -> Self::Result {
        chores::take_request(Arc::clone(&self.shared), caller).boxed_local()
    }
}

impl Handler<Drain> for IdentityActor {
    type Result = ResponseFuture<()>;

    /// Tries until the counts are written; the asker's time-out bounds it.
    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let shared = Arc::clone(&self.shared);
        async move {
            shared.returns.drain(Duration::from_secs(2)).await;
            while let Err(error) = shared.meters.flush(&shared.store).await {
                tracing::warn!(%error, "counts of keys and trials wait for the database");
                tokio::time::sleep(DRAIN_PAUSE).await;
            }
        }
        .boxed_local()
    }
}

#[cfg(any(test, feature = "fault-injection"))]
crate::crashable!(IdentityActor);
