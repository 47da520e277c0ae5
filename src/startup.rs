//! The composition root: what is wired to what.

use crate::adapters::privy::{PrivyKeys, PrivyVerifier};
use crate::adapters::redis::RedisCounters;
use crate::adapters::{AdapterError, Gateways};
use crate::config::Settings;
use crate::http::health::HealthBoard;
use crate::http::models::Shelf;
use crate::http::starting::Starting;
use crate::http::{metrics, server};
use crate::io::IoRuntime;
use crate::shutdown::{self, Drained};
use actix_web::dev::{Server, ServerHandle};
use actix_web::web;
use anyhow::Context;
use secrecy::ExposeSecret;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tollgate_actors::limiter::SharedCounters;
use tollgate_actors::ports::{Clock, KeySource};
use tollgate_actors::runtime::{Arbiters, InFlight, Supervision};
use tollgate_actors::{Actors, ActorsDeps};
use tollgate_store::audit::Actor;
use tollgate_store::migrate::{Direction, migrate};
use tollgate_store::{Store, StoreOptions};

const NO_DATABASE: &str = "DATABASE_URL: got nothing, wants the database's address";

/// How long the start waits for the first lists of models.
const CATALOGUE_LIMIT: Duration = Duration::from_secs(5);

/// What comes from outside and is another thing in tests.
#[derive(Clone)]
pub struct Deps {
    pub clock: Arc<dyn Clock>,
}

/// What every handler may need, as `web::Data<Services>`.
pub struct Services {
    pub settings: Arc<Settings>,
    pub clock: Arc<dyn Clock>,
    pub store: Store,
    pub actors: Actors,
    /// What the end of the process must wait for.
    pub tasks: InFlight,
    pub readiness: Readiness,
    pub health: HealthBoard,
    /// What the catalogue's doors work out once for all workers.
    pub models: Shelf,
    /// `None`: nobody signs in with Privy.
    pub privy: Option<PrivyVerifier>,
}

/// Does this replica want requests?
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}

/// A server that serves. Needs a running actix `System`.
pub struct Application {
    address: SocketAddr,
    server: Server,
    parts: Parts,
}

/// What is to be stopped, in [`shutdown`]'s order.
pub(crate) struct Parts {
    pub server: ServerHandle,
    /// The server's own socket.
    pub listener: TcpListener,
    pub services: web::Data<Services>,
    pub arbiters: Arbiters,
    pub io: IoRuntime,
    pub ledger_io: IoRuntime,
    /// Names of actors that could not be kept alive.
    pub lost: mpsc::UnboundedReceiver<&'static str>,
}

impl Application {
    /// Binds the address, answers 503 there while it migrates and starts everything, then serves.
    ///
    /// # Errors
    /// One line: the address is taken, the database can't be reached or migrated, a setting that an adapter refuses.
    pub async fn build(settings: Settings, deps: Deps) -> anyhow::Result<Self> {
        metrics::recorder();
        let listener = server::bind(settings.server.bind_addr, settings.timeouts.write)?;
        let address = listener.local_addr()?;
        let starting = Starting::serve(&listener, &settings.server.cors_origins)?;
        let built = Self::start(settings, deps, listener, address).await;
        starting.stop().await;
        built
    }

    async fn start(settings: Settings, deps: Deps, listener: TcpListener, address: SocketAddr) -> anyhow::Result<Self> {
        let (io, ledger_io) = (IoRuntime::start("io")?, IoRuntime::start("ledger")?);
        let store = open_database(&settings, &io).await?;
        io.handle().spawn(metrics::fold_forever());
        let arbiters = Arbiters::start().context("the actors' threads do not start")?;
        let (lose, lost) = mpsc::unbounded_channel();
        let supervision = Supervision {
            policy: tollgate_actors::runtime::RestartPolicy::default(),
            // Nobody listens any more: then the process ends anyway.
            on_exhausted: Arc::new(move |name| {
                let _ = lose.send(name);
            }),
        };
        let settings = Arc::new(settings);
        let gateways = Gateways::build(&settings.adapter_gateways(), settings.adapter_timeouts(), &deps.clock)?;
        let shared_counters = shared_counters(&settings, &io).await?;
        let actors_deps = ActorsDeps {
            store: store.clone(),
            ledger_io: ledger_io.handle().clone(),
            clock: Arc::clone(&deps.clock),
            gateways: gateways.all().to_vec(),
            shared_counters,
            privy_keys: privy_keys(&settings, &deps.clock)?,
            rng: rand::make_rng(),
        };
        let options = settings.actors_options(instance_name(address))?;
        let actors = Actors::start(&arbiters, &supervision, actors_deps, options).await.context("DATA_DIR")?;
        // A provider that is away holds nobody up: its models are unknown until it is back.
        actors.catalog.warmed(CATALOGUE_LIMIT).await;
        let verifier = |keys| settings.privy.as_ref().map(|privy| PrivyVerifier::new(privy.app_id.clone(), keys));
        let privy = actors.privy_keys.clone().and_then(verifier);
        let services = web::Data::new(Services {
            settings: Arc::clone(&settings),
            clock: deps.clock,
            store,
            actors,
            tasks: InFlight::default(),
            readiness: Readiness::default(),
            health: HealthBoard::default(),
            models: Shelf::default(),
            privy,
        });
        let server = server::serve(listener.try_clone()?, &services)?;
        let parts = Parts { server: server.handle(), listener, services, arbiters, io, ledger_io, lost };
        Ok(Self { address, server, parts })
    }

    /// Where it serves: the real port when the settings say 0.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn services(&self) -> web::Data<Services> {
        self.parts.services.clone()
    }

    /// Serves until `stop` resolves, then drains: see [`shutdown`].
    ///
    /// # Errors
    /// An actor that could not be kept alive, or a server that ended by itself.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) -> anyhow::Result<Drained> {
        let Self { server, mut parts, .. } = self;
        parts.services.readiness.set(true);
        let mut serving = actix_rt::spawn(server);
        let failure = tokio::select! {
            () = stop => None,
            name = parts.lost.recv() => Some(anyhow::anyhow!("the {} could not be kept alive", name.unwrap_or("actors"))),
            ended = &mut serving => Some(anyhow::anyhow!("the HTTP server ended by itself: {ended:?}")),
        };
        let drained = shutdown::drain(parts).await;
        failure.map_or(Ok(drained), Err)
    }
}

/// Redis, if there is one; driven by the I/O runtime. One that is away stops no start.
async fn shared_counters(settings: &Settings, io: &IoRuntime) -> anyhow::Result<Option<Arc<dyn SharedCounters>>> {
    let Some(url) = settings.limits.redis_url.clone() else { return Ok(None) };
    let connecting = io.handle().spawn(async move {
        let counters = RedisCounters::new(&url)?;
        if let Err(error) = counters.warm().await {
            tracing::warn!(%error, "Redis is away: each replica decides on limits by itself until it is back");
        }
        Ok::<_, AdapterError>(counters)
    });
    let counters: Arc<dyn SharedCounters> = Arc::new(connecting.await.context("connecting to Redis was cut off")??);
    Ok(Some(counters))
}

/// Where Privy's keys are, if anybody signs in with it.
fn privy_keys(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Option<Arc<dyn KeySource>>, AdapterError> {
    let Some(privy) = &settings.privy else { return Ok(None) };
    Ok(Some(Arc::new(PrivyKeys::new(privy.jwks_url.clone(), Arc::clone(clock))?)))
}

/// The same after a restart, another one for every replica: the machine and the served address.
fn instance_name(address: SocketAddr) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}/{address}", host.trim())
}

/// Migrates on the I/O runtime, as diesel's harness wants a multi-thread one; then opens the pool.
async fn open_database(settings: &Settings, io: &IoRuntime) -> anyhow::Result<Store> {
    let url = settings.database.url.as_ref().context(NO_DATABASE)?;
    let owner = settings.database.admin_url.as_ref().unwrap_or(url).expose_secret().to_owned();
    let ran =
        io.handle().spawn(async move { migrate(&owner, Direction::Up).await }).await.context("the migration was cut off")??;
    if !ran.is_empty() {
        tracing::info!(migrations = ran.len(), "database migrated");
    }
    open_store(settings, io, Actor::Owner).await
}

/// Opens the pool and tries it. What nobody else has done, that actor did.
pub(crate) async fn open_store(settings: &Settings, io: &IoRuntime, acts_as: Actor) -> anyhow::Result<Store> {
    let url = settings.database.url.as_ref().context(NO_DATABASE)?.expose_secret().to_owned();
    let options = StoreOptions { connections_max: settings.database.connections_max, acts_as, ..StoreOptions::new(url) };
    let store = Store::new(options, io.handle().clone())?;
    drop(store.get().await.context("can't reach the database")?);
    Ok(store)
}
