//! The adapters against the stand-in provider, and against bytes that no stand-in sends.

mod faults;
mod going;
mod heads;
mod lists;

use super::client::Client;
use super::dialects::KeyPlace;
use super::openai_compatible::OpenAiCompatible;
use super::{GatewaySettings, Gateways, TimeoutSettings};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use reqwest::header::HeaderMap;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tollgate_actors::ports::{Clock, GatewayError, UpstreamAnswer, UpstreamCall};
use tollgate_domain::GatewayId;
use tollgate_sim::provider::{Provider, ProviderOptions};

/// Short enough to wait for, long enough for a busy machine.
const SHORT: TimeoutSettings = TimeoutSettings {
    connect: Duration::from_millis(500),
    first_byte: Duration::from_millis(700),
    between_bytes: Duration::from_millis(500),
    total: Duration::from_millis(1_500),
};
/// Never met by what answers at once.
const LONG: TimeoutSettings = TimeoutSettings {
    connect: Duration::from_secs(30),
    first_byte: Duration::from_secs(30),
    between_bytes: Duration::from_secs(30),
    total: Duration::from_secs(30),
};
const KEY: &str = "sk-or-very-secret";

struct NoonClock;

impl Clock for NoonClock {
    fn now(&self) -> DateTime<Utc> {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }
}

async fn provider() -> Provider {
    Provider::start(ProviderOptions::default()).await.unwrap()
}

fn settings(base_url: String) -> GatewaySettings {
    let (site_url, site_name) = ("https://tollgate.example".to_owned(), "Tollgate".to_owned());
    GatewaySettings { id: GatewayId::OpenRouter, base_url, api_key: KEY.into(), site_url, site_name }
}

fn gateway(base_url: String, timeouts: TimeoutSettings) -> OpenAiCompatible {
    let client = Client::build(&timeouts).unwrap();
    let headers = HeaderMap::from_iter([KeyPlace::Bearer.header(&settings(base_url.clone())).unwrap()]);
    OpenAiCompatible::new(&base_url, |_| "models", headers, client, timeouts, Arc::new(NoonClock)).unwrap()
}

/// A call of a model that behaves so.
fn call(behaviour: &str, streamed: bool) -> UpstreamCall {
    let body = json!({
        "model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, "stream": streamed,
        "stream_options": streamed.then(|| json!({"include_usage": true})),
    });
    UpstreamCall {
        body: Bytes::from(body.to_string()),
        streamed,
        generation_id: "gen-0123".to_owned(),
        headers: vec![("x-sim-behaviour", behaviour.to_owned())],
    }
}

/// All of a body, and how it ended.
async fn read(answer: UpstreamAnswer) -> (Vec<u8>, Option<GatewayError>) {
    let (mut body, mut whole) = (answer.body, Vec::new());
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => whole.extend_from_slice(&piece),
            Err(error) => {
                assert!(body.next().await.is_none(), "nothing comes after an error");
                return (whole, Some(error));
            }
        }
    }
    (whole, None)
}

/// How a call ends: with its head or in its body.
async fn end(gateway: &OpenAiCompatible, call: UpstreamCall) -> Option<GatewayError> {
    match gateway.complete(call).await {
        Ok(answer) => read(answer).await.1,
        Err(error) => Some(error),
    }
}

/// Serves these bytes to whoever asks, one request per connection, and returns its base URL.
async fn canned(response: impl Into<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let response = response.into();
    // Ends with the test's runtime.
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let response = response.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&response).await;
                let _ = stream.shutdown().await;
                // Whatever is still unread would make the kernel reset the connection.
                while matches!(stream.read(&mut request).await, Ok(1..)) {}
            });
        }
    });
    format!("http://{address}/v1")
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begin.elapsed()
}
