//! The supervised actors. No HTTP, no SQL, no network: what is outside comes in through [`ports`].

pub mod activity;
pub mod attempts;
pub mod catalog;
pub mod identity;
pub mod journal;
pub mod ledger;
pub mod limiter;
pub mod ports;
pub mod runtime;
pub mod sessions;
pub mod token_keys;
pub mod upkeep;
pub mod upstreams;

use crate::activity::{Activity, ActivityActor, ActivityDeps, ActivityService};
use crate::attempts::Attempts;
use crate::catalog::{Catalog, CatalogDeps, CatalogOptions};
use crate::identity::{Identity, IdentityDeps, IdentityOptions};
use crate::ledger::{BATCH_MAX, Ledger, LedgerActor, LedgerOptions, LedgerService};
use crate::limiter::{Limiter, LimiterDeps, LimiterOptions, SharedCounters};
use crate::ports::{Clock, KeySource, ModelGateway};
use crate::runtime::{Arbiters, AskError, Handle, Supervision};
use crate::sessions::{Sessions, SessionsDeps, StoredSessions};
use crate::token_keys::{TokenKeys, TokenKeysDeps};
use crate::upkeep::{Retention, UpkeepActor, UpkeepDeps};
use crate::upstreams::{UpstreamOptions, Upstreams};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollgate_store::Store;

/// How long the start waits for the ledger's writer. If the database goes away right now, the server starts all the same
/// and answers 503 until it is back.
const LEDGER_READY_LIMIT: Duration = Duration::from_secs(30);

/// A handle for every actor.
#[derive(Clone)]
pub struct Actors {
    pub ledger: Ledger,
    pub identity: Identity,
    pub limiter: Limiter,
    pub catalog: Catalog,
    pub activity: Activity,
    pub attempts: Attempts,
    pub upstreams: Upstreams,
    pub sessions: Sessions,
    /// Privy's; `None` where nobody signs in with it.
    pub privy_keys: Option<TokenKeys>,
    activity_face: Handle<ActivityActor>,
    ledger_face: Handle<LedgerActor>,
    upkeep: Handle<UpkeepActor>,
}

/// What the actors work with.
pub struct ActorsDeps {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    /// The runtime of the ledger's writer and its connection: what a settle waits for shares its thread with nothing else.
    pub ledger_io: tokio::runtime::Handle,
    /// Those that are on, for the catalogue.
    pub gateways: Vec<Arc<dyn ModelGateway>>,
    /// Where replicas decide on limits together, if there is such a place.
    pub shared_counters: Option<Arc<dyn SharedCounters>>,
    /// Where Privy publishes its keys, if anybody signs in with it.
    pub privy_keys: Option<Arc<dyn KeySource>>,
    pub rng: rand::rngs::StdRng,
}

/// The actors' settings.
pub struct ActorsOptions {
    pub identity: IdentityOptions,
    pub limiter: LimiterOptions,
    pub catalog: CatalogOptions,
    pub upstreams: UpstreamOptions,
    pub retention: Retention,
    /// This replica's name: the same after a restart, another one for every replica.
    pub instance: String,
    /// Completions under way at once, at most [`OPEN_HOLDS_MAX`](ledger::OPEN_HOLDS_MAX).
    pub calls_max: usize,
    /// For the ledger's journal and anchors, the audit trail's heads, and the activity's journal.
    pub data_dir: PathBuf,
}

impl Actors {
    /// Starts all of them, those who are asked before those who ask.
    ///
    /// # Errors
    /// A journal can't be opened: the ledger's or the activity's.
    pub async fn start(
        arbiters: &Arbiters,
        supervision: &Supervision,
        deps: ActorsDeps,
        options: ActorsOptions,
    ) -> std::io::Result<Self> {
        let ActorsDeps { store, ledger_io, clock, gateways, shared_counters, privy_keys, mut rng } = deps;
        let run = uuid::Builder::from_random_bytes(rand::RngExt::random(&mut rng)).into_uuid();
        let ActorsOptions { identity, limiter, catalog, upstreams, retention, instance, calls_max, data_dir } = options;
        let activity_deps = ActivityDeps { table: Arc::new(store.clone()), clock: Arc::clone(&clock), io: store.io().clone() };
        let activity = activity::start(&arbiters.slow, supervision, activity_deps, &data_dir)?;
        let ActivityService { activity, actor: activity_face } = activity;
        let attempts = attempts::start(Arc::new(store.clone()), store.io());
        let heads_dir = data_dir.clone();
        let (clock_of_ledger, open_max, batch_max) = (Arc::clone(&clock), calls_max, BATCH_MAX);
        let ledger_options =
            LedgerOptions { store: store.driven_by(ledger_io), clock: clock_of_ledger, instance, data_dir, open_max, batch_max };
        let LedgerService { ledger, actor, ready } = ledger::start(&arbiters.hot, supervision, ledger_options)?;
        if tokio::time::timeout(LEDGER_READY_LIMIT, ready).await.is_err() {
            tracing::error!("the ledger has no database yet");
        }
        let treasury = Arc::new(ledger.clone());
        let identity_deps = IdentityDeps { store: store.clone(), clock: Arc::clone(&clock), treasury, rng };
        let identity = identity::start(&arbiters.hot, supervision, identity, identity_deps);
        let upkeep_deps = UpkeepDeps { store: store.clone(), clock: Arc::clone(&clock), retention, data_dir: heads_dir };
        let upkeep = upkeep::start(&arbiters.slow, supervision, upkeep_deps);
        let io = store.io().clone();
        let limiter_deps =
            LimiterDeps { table: Arc::new(store.clone()), clock: Arc::clone(&clock), io, run, shared: shared_counters };
        let limiter = limiter::start(&arbiters.hot, supervision, limiter, limiter_deps);
        let keep = |source| TokenKeysDeps { source, clock: Arc::clone(&clock), io: store.io().clone() };
        let privy_keys = privy_keys.map(|source| token_keys::start(&arbiters.slow, supervision, keep(source)));
        let io = store.io().clone();
        let table = Arc::new(StoredSessions::new(store.clone()));
        let sessions_deps = SessionsDeps { table, clock: Arc::clone(&clock), io: io.clone() };
        let sessions = sessions::start(&arbiters.hot, supervision, sessions_deps);
        let catalog_deps = CatalogDeps { gateways, archive: Arc::new(store), clock, io };
        let catalog = catalog::start(&arbiters.hot, supervision, catalog_deps, catalog);
        let upstreams = Upstreams::new(upstreams, Instant::now());
        let ledger_face = actor;
        Ok(Self {
            ledger,
            identity,
            limiter,
            catalog,
            activity,
            attempts,
            upstreams,
            sessions,
            privy_keys,
            activity_face,
            ledger_face,
            upkeep,
        })
    }

    /// Fault injection for promise P8: every actor, and the ledger's writer, panics. Returns when each has been told.
    #[cfg(feature = "fault-injection")]
    pub async fn crash_each(&self) {
        // The one who asked is told that its message failed, which is what was wanted.
        let _ = self.ledger_face.ask(runtime::Crash).await;
        let _ = self.ledger.crash_writer().await;
        self.identity.crash().await;
        self.limiter.crash().await;
        self.sessions.crash().await;
        let _ = self.catalog.handle().ask(runtime::Crash).await;
        let _ = self.activity_face.ask(runtime::Crash).await;
        let _ = self.upkeep.ask(runtime::Crash).await;
        if let Some(keys) = &self.privy_keys {
            let _ = keys.handle().ask(runtime::Crash).await;
        }
    }

    /// Ends them, those who ask before those who answer. Each has at most `limit`; `false` when one needed more.
    pub async fn drain(&self, limit: Duration) -> bool {
        let upkeep = ended("upkeep", self.upkeep.drain(limit).await);
        let sessions = ended("sessions", self.sessions.drain(limit).await);
        let identity = ended("identity", self.identity.drain(limit).await);
        let limiter = ended("limiter", self.limiter.drain(limit).await);
        let ledger = ended("ledger", self.ledger_face.drain(limit).await);
        let activity = ended("activity", self.activity_face.drain(limit).await);
        let attempts = ended("attempts", self.attempts.drain(limit).await);
        upkeep && sessions && identity && limiter && ledger && activity && attempts
    }
}

fn ended(name: &str, outcome: Result<(), AskError>) -> bool {
    if let Err(error) = outcome {
        tracing::error!(actor = name, %error, "not drained");
    }
    outcome.is_ok()
}
