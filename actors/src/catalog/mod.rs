//! The model catalogue: which models there are, where, and at what price.
//!
//! - **Owns** every configured gateway's list, and decides when it is asked for: every [`CatalogOptions::ttl`], one
//!   request at a time per gateway, after a failure with a back-off. It publishes an immutable [`CatalogSnapshot`], which
//!   everybody reads without a message.
//! - **Bounds**: one refresh under way per gateway, [`CAPACITY`] messages, [`CatalogOptions::list_timeout`] for an answer
//!   (its size is bounded by the adapter).
//! - **A restart** of the actor loses nothing but who waited: the snapshot is outside of it. A restart of the process
//!   serves the archived lists until the gateways have answered.

mod actor;
mod archive;
mod charged;
mod desk;
mod messages;
mod names;
mod prices;
mod snapshot;
mod text;

#[cfg(test)]
mod tests;

pub use actor::CatalogActor;
pub use archive::CatalogArchive;
pub use messages::{AwaitFirstLists, CatalogError, FindStatus, GatewayStatus, RefreshModels, Refreshed};
pub use snapshot::{CatalogEntry, CatalogSnapshot, GatewayList};
pub use text::{ListText, Run, runs};

use crate::ports::{Clock, ModelGateway};
use crate::runtime::{self, AskError, Handle, Supervision};
use actix_rt::ArbiterHandle;
use arc_swap::ArcSwap;
use desk::Desk;
use std::sync::Arc;
use std::time::Duration;
use tollgate_domain::PricePerMillion;

/// A list is asked for anew when it is this old (decision 24).
pub const CATALOG_TTL: Duration = Duration::from_secs(300);
/// Messages under way: operators' questions and those who wait for a refresh; requests read the snapshot.
const CAPACITY: usize = 64;

/// How often and how patiently gateways are asked.
#[derive(Clone, Copy, Debug)]
pub struct CatalogOptions {
    pub ttl: Duration,
    /// Rest after the first failure; doubles up to `ttl`.
    pub backoff_first: Duration,
    /// How long one list may take, whatever the adapter's own time-outs say.
    pub list_timeout: Duration,
    /// How often the actor looks whether a list is due.
    pub tick: Duration,
    /// What a token of a model of unknown price costs (`DEFAULT_PRICE_PER_TOKEN`).
    pub default_price: PricePerMillion,
}

impl CatalogOptions {
    #[must_use]
    pub const fn new(default_price: PricePerMillion) -> Self {
        Self {
            ttl: CATALOG_TTL,
            backoff_first: Duration::from_secs(5),
            list_timeout: Duration::from_secs(60),
            tick: Duration::from_secs(1),
            default_price,
        }
    }
}

/// What the catalogue works with.
pub struct CatalogDeps {
    /// Those that are on, in the order in which they are merged and tried.
    pub gateways: Vec<Arc<dyn ModelGateway>>,
    /// The store, outside tests.
    pub archive: Arc<dyn CatalogArchive>,
    pub clock: Arc<dyn Clock>,
    /// Where gateways are asked and lists are read.
    pub io: tokio::runtime::Handle,
}

/// The way to the catalogue.
#[derive(Clone)]
pub struct Catalog {
    handle: Handle<CatalogActor>,
    published: Arc<ArcSwap<CatalogSnapshot>>,
}

/// Starts the catalogue; the archived lists and then the gateways are asked for at once, behind the caller's back.
#[must_use]
pub fn start(arbiter: &ArbiterHandle, supervision: &Supervision, deps: CatalogDeps, options: CatalogOptions) -> Catalog {
    let CatalogDeps { gateways, archive, clock, io } = deps;
    let published = Arc::new(ArcSwap::from_pointee(CatalogSnapshot::default()));
    let (default_price, list_timeout) = (options.default_price, options.list_timeout);
    let desk = Desk { gateways, archive, clock, published: Arc::clone(&published), default_price, list_timeout };
    let build = move |_: &mut actix::Context<CatalogActor>| CatalogActor::new(Arc::new(desk), io, options);
    Catalog { handle: runtime::start(arbiter, "catalog", CAPACITY, supervision, build), published }
}

impl Catalog {
    /// The catalogue as it is now. No message, no I/O.
    #[must_use]
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        self.published.load_full()
    }

    /// Asks every gateway now, or joins those who are asking. What fails costs no model: the last good lists are served on.
    ///
    /// # Errors
    /// As [`Handle::ask`].
    pub async fn refresh(&self) -> Result<Vec<Refreshed>, AskError> {
        self.handle.ask(RefreshModels).await
    }

    /// How old and how large every list is.
    ///
    /// # Errors
    /// As [`Handle::ask`].
    pub async fn status(&self) -> Result<Vec<GatewayStatus>, AskError> {
        self.handle.ask(FindStatus).await
    }

    /// Waits until every gateway's list is there (archived or fresh) or its first try is over, but no longer than `limit`.
    pub async fn warmed(&self, limit: Duration) {
        // Served without lists, requests for models get 503 or 404: no reason not to start.
        let _ = self.handle.ask_within(AwaitFirstLists, limit).await;
    }

    /// The actor's own handle: for the drain, and for faults put in by tests.
    #[must_use]
    pub const fn handle(&self) -> &Handle<CatalogActor> {
        &self.handle
    }
}
