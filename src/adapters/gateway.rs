//! A model gateway that speaks OpenAI's wire format in a dialect of its own.

use super::client::Client;
use super::dialects::Dialect;
use super::openai_compatible::OpenAiCompatible;
use super::{AdapterError, GatewaySettings, TimeoutSettings};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tollgate_actors::ledger::CallPermit;
use tollgate_actors::ports::{CatalogModel, Clock, GatewayError, ModelGateway, UpstreamAnswer, UpstreamCall};
use tollgate_domain::GatewayId;

/// One gateway of one worker.
pub struct Gateway {
    dialect: Arc<Dialect>,
    api: OpenAiCompatible,
}

impl Gateway {
    /// # Errors
    /// A setting that can't be part of a request.
    pub(super) fn new(
        dialect: Dialect,
        settings: &GatewaySettings,
        client: Client,
        timeouts: TimeoutSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AdapterError> {
        let mut headers = (dialect.headers)(settings)?;
        let (name, key) = dialect.key.header(settings)?;
        headers.insert(name, key);
        let api = OpenAiCompatible::new(&settings.base_url, headers, client, timeouts, clock)?;
        Ok(Self { dialect: Arc::new(dialect), api })
    }
}

impl ModelGateway for Gateway {
    fn id(&self) -> GatewayId {
        self.dialect.id
    }

    fn list_models(&self) -> BoxFuture<'_, Result<Vec<CatalogModel>, GatewayError>> {
        async {
            let body = self.api.model_list().await?;
            let dialect = Arc::clone(&self.dialect);
            // Some milliseconds of work: not on a thread that drives connections.
            let read = tokio::task::spawn_blocking(move || dialect.read(&body)).await;
            read.unwrap_or_else(|lost| Err(GatewayError::Malformed(lost.to_string())))
        }
        .boxed()
    }

    fn complete<'a>(&'a self, _: &'a CallPermit, call: UpstreamCall) -> BoxFuture<'a, Result<UpstreamAnswer, GatewayError>> {
        self.api.complete(call).boxed()
    }
}
