//! What is outside, as traits: the server's adapters fulfil them, tests put their own in.
//!
//! Methods return boxed futures, so that a port can be a `dyn`.

use crate::ledger::CallPermit;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use std::time::Duration;
use tollgate_domain::{GatewayId, PriceList};

/// The time of day. Tests turn it.
pub trait Clock: Send + Sync {
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the machine's clock is read")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A provider of models. One object per HTTP worker, so that a stream stays on its thread.
pub trait ModelGateway: Send + Sync {
    fn id(&self) -> GatewayId;

    /// Its models, in our form. The whole list or an error: never a part of it.
    fn list_models(&self) -> BoxFuture<'_, Result<ModelList, GatewayError>>;

    /// Sends one completion upstream. Without a [`CallPermit`], which only a hold gives, there is no call.
    ///
    /// Resolves when the head of the answer is here. The body ends with an error when it breaks or stalls; dropping
    /// it closes the upstream connection.
    fn complete<'a>(&'a self, permit: &'a CallPermit, call: UpstreamCall) -> BoxFuture<'a, Result<UpstreamAnswer, GatewayError>>;

    /// The error as a caller may see it: a provider that repeats our key does not give it away.
    fn without_key(&self, error: &GatewayError) -> GatewayError {
        error.clone()
    }
}

/// One request to a model gateway.
#[derive(Clone, Debug)]
pub struct UpstreamCall {
    /// The JSON body, ready to send.
    pub body: Bytes,
    pub streamed: bool,
    /// Sent as `x-request-id`, so that both sides' logs can be joined.
    pub generation_id: String,
    /// Further request headers of this one call (a Portkey provider, for one).
    pub headers: Vec<(&'static str, String)>,
}

/// A 2xx answer of a model gateway.
pub struct UpstreamAnswer {
    /// As sent, lower case, without parameters: `application/json`, `text/event-stream`.
    pub content_type: String,
    pub body: BoxStream<'static, Result<Bytes, GatewayError>>,
}

/// Why an upstream call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// No connection, or one that was reset: nothing was answered.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// No connection for want of something of our own: open files, ports, memory. It says nothing of the gateway.
    #[error("no connection could be opened: {0}")]
    Exhausted(String),
    #[error("no answer within the {0} time-out")]
    Timeout(Phase),
    /// A status that is no 2xx. The body is cut at 64 KiB.
    #[error("status {status}")]
    Status { status: u16, body: Bytes, retry_after: Option<Duration> },
    /// An answer that is not what its head says, or no JSON where JSON is due.
    #[error("a malformed answer: {0}")]
    Malformed(String),
    /// More bytes than the bounds allow.
    #[error("the answer is too large")]
    TooLarge,
}

/// Which of the four time-outs ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Connect,
    FirstByte,
    BetweenBytes,
    Total,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::FirstByte => "first-byte",
            Self::BetweenBytes => "between-bytes",
            Self::Total => "total",
        })
    }
}

/// A gateway's list, one model after the other: 20,000 of them as JSON trees take ten times the room of their text.
pub type ModelList = Box<dyn Iterator<Item = CatalogModel> + Send>;

/// Where an identity provider publishes the keys that its tokens are signed with.
pub trait KeySource: Send + Sync {
    /// All keys that it signs with now and that we can use; never a part of them, never none.
    fn fetch(&self) -> BoxFuture<'_, Result<Vec<TokenKey>, KeySourceError>>;
}

/// A public key on the curve P-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKey {
    /// `kid`: how tokens name it.
    pub id: String,
    /// Uncompressed (SEC 1): `4`, then x and y.
    pub point: [u8; 65],
}

/// Why there are no keys. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeySourceError(pub String);

/// A model as a gateway's adapter hands it to the catalogue.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CatalogModel {
    /// What a caller's `model` is, slashes and all.
    pub id: String,
    /// What goes upstream as `model`, where that is another text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_id: Option<String>,
    pub gateway: GatewayId,
    /// As the gateway states them, `None` when it does not. Whether they are sane is for the catalogue to say.
    pub prices: Option<PriceList>,
    /// Tokens; 0 when unknown.
    pub context_length: i64,
    /// Tokens; `None` when unknown.
    pub max_completion_tokens: Option<i64>,
    /// The entry as the catalogue's doors show it: an object with at least `id`, `name` and `provider_slug`.
    pub public: serde_json::Value,
}
