//! A model provider on loopback: OpenAI's chat completions, OpenRouter's list of models, and every way to fail that a
//! proxy must live with ([`behaviour`] has the table; [`control`] tells how to look and turn from outside).
//!
//! - `GET …/v1/models`: OpenRouter's format, or another gateway's ([`GatewayFormat`]); no key is asked for.
//! - `POST …/v1/chat/completions`: any model but a misspelt `sim/…` (or `provider/sim/…`) is served. A key is needed (`Authorization: Bearer`, `x-api-key` or `x-portkey-api-key`), and any will do but `bad-key`.
//!
//! Answers follow from the request alone, so that a test can compute them. Prompt tokens: bytes of all message texts / 4,
//! rounded up, at least 1. Completion tokens: `max_completion_tokens` or `max_tokens` (16 when absent, at most 4,096, where
//! the finish reason becomes `length`), for each of the `n` choices. The text is `tok1 tok2 …`, one delta a token. With
//! `tools`, the chosen or the first one is called, with arguments that fit its schema; after a tool's result the model
//! talks. With a `response_format`, the content is JSON that fits.
//!
//! It holds no state beyond counts and a bounded log, and stops when its [`Provider`] is dropped.

mod answer;
pub mod behaviour;
mod body;
mod catalogue;
mod chat;
pub mod control;
mod faults;
mod format;
pub(crate) mod http;
mod log;
mod plain;
pub(crate) mod reply;
mod request;
mod shape;
mod stats;
mod stream;
mod usage;

pub use behaviour::{Behaviour, Fault};
pub use control::ModelList;
pub use format::GatewayFormat;
pub use log::{Outcome, RecordedRequest};
pub use stats::Stats;

use anyhow::Context;
use bytes::Bytes;
use catalogue::Catalogue;
use control::Controls;
use http::{Conn, Gone, Method, ReadError, Request};
use stats::{Counters, bump};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};

/// Lets the reader take what was sent before a reset overtakes it.
const BEFORE_RESET: Duration = Duration::from_millis(20);
/// After a failed accept (out of file descriptors, say) the next one waits.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(10);
/// A crowd may come at once. The kernel may queue fewer.
const BACKLOG: u32 = 4_096;

#[derive(Clone, Copy, Debug)]
pub struct ProviderOptions {
    /// Where to listen; port 0 picks a free one.
    pub bind: SocketAddr,
    /// Generated entries added to the model list.
    pub extra_models: usize,
    /// Whose list and errors it speaks.
    pub format: GatewayFormat,
}

impl Default for ProviderOptions {
    fn default() -> Self {
        Self { bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), extra_models: 0, format: GatewayFormat::OpenRouter }
    }
}

/// A running stand-in. Dropped, it stops listening and cuts its connections.
#[derive(Debug)]
pub struct Provider {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    catalogue: Catalogue,
    counters: Counters,
    controls: RwLock<Controls>,
    /// The format of the start.
    format: GatewayFormat,
}

/// How an answer ended while its client was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// In full.
    Finished,
    /// Not in full, but HTTP's framing held: the connection can go on.
    Faulted,
    /// Not in full: the connection is to be closed.
    Closed,
    /// Not in full: the connection is to be reset.
    Reset,
}

impl Provider {
    /// Listens, and serves on the runtime that this is called on.
    ///
    /// # Errors
    /// The address can't be listened on.
    #[expect(clippy::unused_async, reason = "outside of a runtime it can't be called")]
    pub async fn start(options: ProviderOptions) -> anyhow::Result<Self> {
        let listener = listen(options.bind).with_context(|| format!("can't listen on {}", options.bind))?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            catalogue: Catalogue::new(options.format, options.extra_models),
            counters: Counters::default(),
            controls: RwLock::new(Controls::of(options.format)),
            format: options.format,
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, accepting })
    }

    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What a gateway's `…_BASE_URL` is set to: `http://127.0.0.1:PORT/api/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.addr)
    }

    /// The counts of an answer follow its last byte by a moment: a test that has just read one waits for them.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot()
    }

    /// The last chat completion requests (at most 1,000), oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.counters.last(usize::MAX)
    }

    /// What every request starts from, before its model and its header are heard.
    pub fn set_default(&self, behaviour: Behaviour) {
        self.shared.turn(|controls| controls.behaviour = behaviour);
    }

    pub fn set_model_list(&self, models: ModelList) {
        self.shared.turn(|controls| controls.models = models);
    }

    /// Serves this body as the list of models: another gateway's format, another day's prices. `None`: the catalogue.
    pub fn serve_models(&self, body: Option<Bytes>) {
        self.shared.turn(|controls| controls.models_body = body);
    }

    /// Counts, log and settings as at the start; what is open stays open.
    pub fn reset(&self) {
        self.shared.counters.reset();
        self.shared.turn(|controls| *controls = Controls::of(self.shared.format));
    }

    /// Stops, and returns when the port refuses connections.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // Cancelled is what it is to be.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("stats", &self.counters.snapshot()).finish_non_exhaustive()
    }
}

impl Shared {
    fn controls(&self) -> RwLockReadGuard<'_, Controls> {
        self.controls.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, change: impl FnOnce(&mut Controls)) {
        change(&mut self.controls.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Owns the connections: when this task is aborted, so are they.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(Conn::new(stream), Arc::clone(&shared)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_BACK_OFF).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut conn: Conn, shared: Arc<Shared>) {
    loop {
        let request = match conn.read_request().await {
            Ok(request) => request,
            Err(ReadError::Closed) => return,
            Err(error) => return refuse(conn, &error).await,
        };
        match route(&mut conn, &shared, &request).await {
            Ok(Ended::Finished | Ended::Faulted) if request.keep_alive => {}
            Ok(Ended::Reset) => {
                // Whether the client goes first makes no difference.
                let _ = conn.pause(BEFORE_RESET).await;
                return conn.reset();
            }
            Ok(_) | Err(Gone) => return,
        }
    }
}

async fn refuse(mut conn: Conn, error: &ReadError) {
    let status = if matches!(error, ReadError::TooLarge) { 413 } else { 400 };
    reply::put(&mut conn.out, status, reply::JSON, &[("connection", "close")], &reply::error_body(status, "Not a request"));
    // The connection ends either way.
    let _ = conn.flush().await;
}

async fn route(conn: &mut Conn, shared: &Shared, request: &Request) -> Result<Ended, Gone> {
    let path = request.target.split('?').next().unwrap_or_default();
    if path.starts_with("/sim/") {
        return control::answer(conn, shared, request, path).await;
    }
    bump(&shared.counters.requests);
    match (request.method, path) {
        (Method::Post, path) if path.ends_with("/v1/chat/completions") => chat::complete(conn, shared, request).await,
        (Method::Get, path) if path.ends_with("/v1/models") => models(conn, shared).await,
        (_, faults::REDIRECT_TARGET) => {
            bump(&shared.counters.redirects_followed);
            reply::put(&mut conn.out, 200, reply::JSON, &[], b"{}");
            conn.flush().await.map(|()| Ended::Finished)
        }
        _ => {
            reply::put(&mut conn.out, 404, reply::JSON, &[], &reply::error_body(404, "No such path"));
            conn.flush().await.map(|()| Ended::Finished)
        }
    }
}

async fn models(conn: &mut Conn, shared: &Shared) -> Result<Ended, Gone> {
    bump(&shared.counters.model_lists);
    let (mode, body) = {
        let controls = shared.controls();
        (controls.models, controls.models_body.clone().unwrap_or_else(|| shared.catalogue.list()))
    };
    match mode {
        ModelList::Served => reply::put(&mut conn.out, 200, reply::JSON, &[], &body),
        ModelList::Failing => {
            reply::put(&mut conn.out, 500, reply::JSON, &[], &reply::error_body(500, "Told to fail"));
        }
        ModelList::Hanging => return Err(conn.until_gone().await),
        ModelList::Garbage => reply::put(&mut conn.out, 200, reply::JSON, &[], br#"{"data":[{"id":"openai/gpt-4o","pri"#),
    }
    conn.flush().await.map(|()| Ended::Finished)
}
