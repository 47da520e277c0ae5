//! The last chat completions as they came in, and what became of them.

use super::http::Request;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// How many requests are remembered, and how many bytes of them.
const REMEMBERED_MAX: usize = 1_000;
const REMEMBERED_BYTES_MAX: usize = 64 << 20;
/// Models counted apart; a caller that invents more is counted in the totals only.
const MODELS_MAX: usize = 10_000;

/// How a chat completion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Open,
    Rejected,
    Finished,
    Faulted,
    Cancelled,
}

/// A chat completion request as it came, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct RecordedRequest {
    /// The answer's id.
    pub id: String,
    pub path: String,
    /// Names in lower case; the values of keys and cookies are left out.
    pub headers: Vec<(String, String)>,
    /// The body, or null when it was no JSON.
    pub body: Value,
    pub outcome: Outcome,
    /// Completion tokens written to the socket, over all choices.
    pub tokens_sent: u64,
    #[serde(skip)]
    raw: (Bytes, Bytes),
}

impl RecordedRequest {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether the request had this text anywhere, be it in a header whose value is not shown.
    #[must_use]
    pub fn carries(&self, text: &str) -> bool {
        [&self.raw.0, &self.raw.1].into_iter().any(|part| memchr::memmem::find(part, text.as_bytes()).is_some())
    }
}

/// One chat completion, shared by its answer and the log.
pub(super) struct Exchange {
    number: u64,
    head: Bytes,
    body: Bytes,
    /// Set once, at the end.
    pub outcome: OnceLock<Outcome>,
    pub tokens_sent: AtomicU64,
}

impl Exchange {
    pub fn new(number: u64, request: &Request) -> Self {
        let (head, body) = (request.head.clone(), request.body.clone());
        Self { number, head, body, outcome: OnceLock::new(), tokens_sent: AtomicU64::new(0) }
    }

    /// The answer's id.
    pub fn id(&self) -> String {
        format!("gen-sim-{}", self.number)
    }

    pub fn recorded(&self) -> RecordedRequest {
        let mut slots = [httparse::EMPTY_HEADER; 100];
        let mut parsed = httparse::Request::new(&mut slots);
        // The head was parsed once already, when it came.
        let _ = parsed.parse(&self.head);
        RecordedRequest {
            id: self.id(),
            path: parsed.path.unwrap_or_default().to_owned(),
            headers: parsed.headers.iter().map(shown).collect(),
            body: serde_json::from_slice(&self.body).unwrap_or_default(),
            outcome: self.outcome.get().copied().unwrap_or(Outcome::Open),
            tokens_sent: self.tokens_sent.load(Relaxed),
            raw: (self.head.clone(), self.body.clone()),
        }
    }

    fn size(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

fn shown(header: &httparse::Header<'_>) -> (String, String) {
    let name = header.name.to_ascii_lowercase();
    let secret = matches!(name.as_str(), "authorization" | "cookie") || name.ends_with("api-key");
    let value = if secret { "(not shown)".into() } else { String::from_utf8_lossy(header.value) };
    (name, value.into_owned())
}

#[derive(Default)]
pub(super) struct Log {
    exchanges: VecDeque<Arc<Exchange>>,
    bytes: usize,
    pub models: HashMap<String, u64>,
}

impl Log {
    pub fn remember(&mut self, exchange: Arc<Exchange>) {
        self.bytes += exchange.size();
        self.exchanges.push_back(exchange);
        while self.exchanges.len() > REMEMBERED_MAX || (self.bytes > REMEMBERED_BYTES_MAX && self.exchanges.len() > 1) {
            let forgotten = self.exchanges.pop_front().map_or(0, |oldest| oldest.size());
            self.bytes = self.bytes.saturating_sub(forgotten);
        }
    }

    /// The last ones, oldest first.
    pub fn last(&self, count: usize) -> Vec<Arc<Exchange>> {
        self.exchanges.iter().skip(self.exchanges.len().saturating_sub(count)).cloned().collect()
    }

    pub fn count_model(&mut self, model: &str) {
        if let Some(count) = self.models.get_mut(model) {
            *count += 1;
        } else if self.models.len() < MODELS_MAX {
            self.models.insert(model.to_owned(), 1);
        }
    }
}
