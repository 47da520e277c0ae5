//! OpenRouter: the first gateway, and the price list of those that have none.

mod models;

#[cfg(test)]
mod tests;

use super::client::Client;
use super::openai_compatible::OpenAiCompatible;
use super::{AdapterError, GatewaySettings, TimeoutSettings};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, REFERER};
use std::sync::Arc;
use tollgate_actors::ledger::CallPermit;
use tollgate_actors::ports::{CatalogModel, Clock, GatewayError, ModelGateway, UpstreamAnswer, UpstreamCall};
use tollgate_domain::GatewayId;

const X_TITLE: HeaderName = HeaderName::from_static("x-title");

/// `https://openrouter.ai/api/v1`, or whatever speaks like it.
pub struct OpenRouterGateway {
    api: OpenAiCompatible,
}

impl OpenRouterGateway {
    /// # Errors
    /// A setting that can't be part of a request.
    pub fn new(
        settings: &GatewaySettings,
        client: Client,
        timeouts: TimeoutSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AdapterError> {
        let mut headers = HeaderMap::new();
        // OpenRouter shows its users which site calls; without these it says "unknown", which is no error.
        for (name, value) in [(REFERER, &settings.site_url), (X_TITLE, &settings.site_name)] {
            if !value.is_empty() {
                let value = HeaderValue::try_from(value.as_str());
                let wrong = |_| AdapterError::Setting { what: "site", reason: "can't stand in a header".to_owned() };
                headers.insert(name, value.map_err(wrong)?);
            }
        }
        Ok(Self { api: OpenAiCompatible::new(settings, headers, client, timeouts, clock)? })
    }
}

impl ModelGateway for OpenRouterGateway {
    fn id(&self) -> GatewayId {
        GatewayId::OpenRouter
    }

    fn list_models(&self) -> BoxFuture<'_, Result<Vec<CatalogModel>, GatewayError>> {
        async {
            let body = self.api.model_list().await?;
            // Some milliseconds of work: not on a thread that drives connections.
            let parsed = tokio::task::spawn_blocking(move || models::parse(&body)).await;
            parsed.unwrap_or_else(|lost| Err(GatewayError::Malformed(lost.to_string())))
        }
        .boxed()
    }

    fn complete<'a>(&'a self, _: &'a CallPermit, call: UpstreamCall) -> BoxFuture<'a, Result<UpstreamAnswer, GatewayError>> {
        self.api.complete(call).boxed()
    }
}
