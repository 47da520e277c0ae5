//! What gateways with OpenAI's wire format share: the call, and the list's transport.

use super::answer::{JSON, PLAIN_BYTES_MAX, accept, accept_status, media_type, refuse_encoding};
use super::client::Client;
use super::fault;
use super::transport::Destination;
use super::upstream_body::{Deadlines, UpstreamBody};
use super::{AdapterError, TimeoutSettings};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use reqwest::{Method, Url};
use std::sync::Arc;
use tokio::time::timeout_at;
use tollgate_actors::ports::{Clock, GatewayError, UpstreamAnswer, UpstreamCall};

/// How we call ourselves.
const PROGRAM: &str = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
/// Beside those that go with every request.
const CALL_HEADERS_MAX: usize = 8;
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One gateway's `chat/completions` and `models`. All that is the same for every call is made once.
///
/// Not public: who has it can call without a hold.
pub struct OpenAiCompatible {
    client: Client,
    chat: Destination,
    models_url: Url,
    headers: HeaderMap,
    timeouts: TimeoutSettings,
    clock: Arc<dyn Clock>,
}

impl OpenAiCompatible {
    /// `headers`, the key's among them, go with every request; `list_path` is where the list stands below the base's path.
    ///
    /// # Errors
    /// A base URL that is none.
    pub fn new(
        base: &str,
        list_path: fn(&str) -> &'static str,
        mut headers: HeaderMap,
        client: Client,
        timeouts: TimeoutSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AdapterError> {
        let base = base_url(base)?;
        let join = |path: &str| base.join(path).map_err(|error| wrong("base URL", &error));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, HeaderValue::from_static(PROGRAM));
        // A copy of the map has the room for what a call adds.
        headers.reserve(CALL_HEADERS_MAX);
        let chat_uri: Uri = join("chat/completions")?.as_str().parse().map_err(|error| wrong("base URL", &error))?;
        let chat = Destination::new(client.calls.clone(), chat_uri).ok_or_else(|| wrong("base URL", &"without a host"))?;
        Ok(Self { chat, models_url: join(list_path(base.path()))?, client, headers, timeouts, clock })
    }

    /// Sends one completion; resolves with the head of the answer.
    ///
    /// # Errors
    /// As [`tollgate_actors::ports::ModelGateway::complete`].
    pub async fn complete(&self, call: UpstreamCall) -> Result<UpstreamAnswer, GatewayError> {
        let deadlines = Deadlines::from_now(&self.timeouts);
        let streamed = call.streamed;
        let (deadline, phase) = deadlines.first();
        let response = match timeout_at(deadline, self.chat.send(self.chat_request(call)?)).await {
            Ok(answered) => answered.map_err(|error| fault::of_call(&error))?,
            Err(_) => return Err(GatewayError::Timeout(phase)),
        };
        accept(response, streamed, deadlines, &*self.clock).await
    }

    /// The body of `GET models`, whole.
    ///
    /// # Errors
    /// As a completion's; `Malformed` for what is no JSON by its head.
    pub async fn model_list(&self) -> Result<Vec<u8>, GatewayError> {
        let deadlines = Deadlines::from_now(&self.timeouts);
        let (deadline, phase) = deadlines.first();
        let request = self.client.rare.get(self.models_url.clone()).headers(self.headers.clone()).header(ACCEPT, JSON).send();
        let response = match timeout_at(deadline, request).await {
            Ok(answered) => answered.map_err(|error| fault::of_rare_call(&error))?,
            Err(_) => return Err(GatewayError::Timeout(phase)),
        };
        let response = accept_status(response.into(), deadlines, &*self.clock).await?;
        let content_type = media_type(response.headers());
        if content_type.contains("html") {
            return Err(GatewayError::Malformed(format!("the content type {content_type:?} where JSON is due")));
        }
        refuse_encoding(response.headers())?;
        UpstreamBody::new(response.into_body(), deadlines, PLAIN_BYTES_MAX).collect().await
    }

    fn chat_request(&self, call: UpstreamCall) -> Result<Request<Full<Bytes>>, GatewayError> {
        let mut request = Request::new(Full::new(call.body));
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accepted = if call.streamed { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accepted));
        headers.insert(X_REQUEST_ID, header_value(&call.generation_id)?);
        for (name, value) in &call.headers {
            let name = HeaderName::try_from(*name).map_err(|_| unsendable(name))?;
            headers.insert(name, header_value(value)?);
        }
        Ok(request)
    }
}

/// The base as a folder, so that paths are joined below it.
fn base_url(text: &str) -> Result<Url, AdapterError> {
    let folder = format!("{}/", text.trim_end_matches('/'));
    let url = Url::parse(&folder).map_err(|error| wrong("base URL", &error))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(wrong("base URL", &"neither http nor https")),
    }
}

fn header_value(text: &str) -> Result<HeaderValue, GatewayError> {
    HeaderValue::try_from(text).map_err(|_| unsendable("header's value"))
}

fn unsendable(what: &str) -> GatewayError {
    GatewayError::Malformed(format!("the call's {what} can't be sent"))
}

fn wrong(what: &'static str, reason: &dyn std::fmt::Display) -> AdapterError {
    AdapterError::Setting { what, reason: reason.to_string() }
}
