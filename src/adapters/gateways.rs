//! The model gateways that are on, with clients of their own for each HTTP worker.

use super::client::Client;
use super::dialects::Dialect;
use super::gateway::Gateway;
use super::{AdapterError, GatewaySettings, TimeoutSettings};
use std::sync::Arc;
use tollgate_actors::ports::{Clock, ModelGateway};
use tollgate_domain::GatewayId;

/// One worker's gateways. Clones share their connections.
#[derive(Clone)]
pub struct Gateways {
    /// In the order of [`GatewayId::ALL`], in which catalogues are merged and models are tried.
    on: Arc<[Arc<dyn ModelGateway>]>,
}

impl Gateways {
    /// Builds a client and the adapters over it. Call it on the thread that will use them.
    ///
    /// A gateway that has a key and no adapter stays off, with a warning.
    ///
    /// # Errors
    /// A setting that can't be part of a request, or a machine without root certificates.
    pub fn build(settings: &[GatewaySettings], timeouts: TimeoutSettings, clock: &Arc<dyn Clock>) -> Result<Self, AdapterError> {
        let client = Client::build(&timeouts)?;
        let adapter = |settings: &GatewaySettings| -> Option<Result<Arc<dyn ModelGateway>, AdapterError>> {
            let Some(dialect) = Dialect::of(settings.id) else {
                tracing::warn!(gateway = %settings.id, "this gateway has a key, but can't be called yet: it stays off");
                return None;
            };
            let gateway = Gateway::new(dialect, settings, client.clone(), timeouts, Arc::clone(clock));
            Some(gateway.map(|gateway| -> Arc<dyn ModelGateway> { Arc::new(gateway) }))
        };
        let mut on = settings.iter().filter_map(adapter).collect::<Result<Vec<_>, _>>()?;
        on.sort_by_key(|gateway| gateway.id());
        Ok(Self { on: on.into() })
    }

    /// Gateways of one's own making, in that order: for tests.
    #[must_use]
    pub fn of(gateways: Vec<Arc<dyn ModelGateway>>) -> Self {
        Self { on: gateways.into() }
    }

    /// The gateway, if it is on.
    #[must_use]
    pub fn get(&self, id: GatewayId) -> Option<&Arc<dyn ModelGateway>> {
        self.on.iter().find(|gateway| gateway.id() == id)
    }

    /// All that are on.
    #[must_use]
    pub fn all(&self) -> &[Arc<dyn ModelGateway>] {
        &self.on
    }
}
