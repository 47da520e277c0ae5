//! A model gateway that speaks OpenAI's wire format in a dialect of its own.

use super::client::Client;
use super::dialects::Dialect;
use super::openai_compatible::OpenAiCompatible;
use super::{AdapterError, GatewaySettings, TimeoutSettings};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tollgate_actors::ledger::CallPermit;
use tollgate_actors::ports::{Clock, GatewayError, ModelGateway, ModelList, UpstreamAnswer, UpstreamCall};
use tollgate_domain::GatewayId;

/// What is shorter is no secret, and stands in any text.
const KEY_BYTES_MIN: usize = 8;

/// One gateway of one worker.
pub struct Gateway {
    dialect: Dialect,
    api: OpenAiCompatible,
    key: SecretString,
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
        let api = OpenAiCompatible::new(&settings.base_url, dialect.list_path, headers, client, timeouts, clock)?;
        Ok(Self { dialect, api, key: settings.api_key.clone() })
    }
}

impl ModelGateway for Gateway {
    fn id(&self) -> GatewayId {
        self.dialect.id
    }

    fn list_models(&self) -> BoxFuture<'_, Result<ModelList, GatewayError>> {
        async {
            let body = self.api.model_list().await?;
            let dialect = self.dialect;
            // Some milliseconds of work: not on a thread that drives connections.
            let read = tokio::task::spawn_blocking(move || dialect.read(body)).await;
            let listed = read.unwrap_or_else(|lost| Err(GatewayError::Malformed(lost.to_string())));
            listed.map(|listed| -> ModelList { Box::new(listed) })
        }
        .boxed()
    }

    fn complete<'a>(&'a self, _: &'a CallPermit, call: UpstreamCall) -> BoxFuture<'a, Result<UpstreamAnswer, GatewayError>> {
        self.api.complete(call).boxed()
    }

    fn without_key(&self, error: &GatewayError) -> GatewayError {
        let key = self.key.expose_secret();
        let repeats = |body: &[u8]| key.len() >= KEY_BYTES_MIN && memmem::find(body, key.as_bytes()).is_some();
        match error {
            GatewayError::Status { status, body, retry_after } if repeats(body) => {
                let body = String::from_utf8_lossy(body).replace(key, "(our key)").into();
                GatewayError::Status { status: *status, body, retry_after: *retry_after }
            }
            other => other.clone(),
        }
    }
}
