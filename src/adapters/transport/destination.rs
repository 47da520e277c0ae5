//! Where completions of one gateway go, and the connections of one worker to it.

use super::answer::AnswerBody;
use super::line::Line;
use super::{KEEPALIVE, POOL_IDLE, POOL_IDLE_MAX, SendError, Stream, Transport};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::connect::Connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

type Outgoing = Request<Full<Bytes>>;
type Shared = SendRequest<Full<Bytes>>;

/// One address of one gateway.
///
/// A connection of HTTP/1.1 carries one call at a time: who finds none idle opens one. One of HTTP/2 carries all: it is opened once.
pub struct Destination {
    transport: Transport,
    uri: Uri,
    /// The path and query, as HTTP/1.1 has it.
    path: Uri,
    host: HeaderValue,
    idle: Arc<Idle>,
    shared: Mutex<Option<Shared>>,
    /// Known once it was spoken to, and at once without TLS.
    speaks_http1: AtomicBool,
    /// Whose turn it is to find out, or to open the shared connection.
    turn: tokio::sync::Mutex<()>,
}

enum Way {
    Own(Line),
    Shared(Shared),
}

impl Destination {
    /// `None`: the address has no host.
    pub fn new(transport: Transport, uri: Uri) -> Option<Self> {
        let path = Uri::from(uri.path_and_query()?.clone());
        let host = match uri.port() {
            Some(port) => format!("{}:{port}", uri.host()?),
            None => uri.host()?.to_owned(),
        };
        let host = HeaderValue::try_from(host).ok()?;
        let speaks_http1 = AtomicBool::new(uri.scheme_str() != Some("https"));
        let (idle, shared, turn) = (Arc::default(), Mutex::default(), tokio::sync::Mutex::default());
        Some(Self { transport, uri, path, host, idle, shared, speaks_http1, turn })
    }

    /// Sends a request there, whatever its URI; resolves with the answer's head.
    ///
    /// # Errors
    /// No connection, or none that spoke HTTP.
    pub async fn send(&self, mut request: Outgoing) -> Result<Response<AnswerBody>, SendError> {
        loop {
            let known = self.known().await;
            let is_known = known.is_some();
            let way = match known {
                Some(way) => way,
                // Boxed, as what is rare: calls over a connection that there is carry nothing of it.
                None => Box::pin(self.open()).await?,
            };
            let mut failure = match self.send_over(way, request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            // A connection may end while it is idle. Another one is tried only when nothing was sent.
            match failure.take_message().filter(|_| is_known) {
                Some(unsent) => {
                    // What did not take it is not asked again; calls that it carries go on.
                    lock(&self.shared).take();
                    request = unsent;
                }
                None => return Err(failure.into_error().into()),
            }
        }
    }

    async fn send_over(&self, way: Way, mut request: Outgoing) -> Result<Response<AnswerBody>, TrySendError<Outgoing>> {
        match way {
            Way::Own(line) => {
                *request.uri_mut() = self.path.clone();
                request.headers_mut().insert(HOST, self.host.clone());
                let (answer, line) = line.exchange(request).await?;
                Ok(answer.map(|incoming| AnswerBody::of_line(incoming, line, Arc::clone(&self.idle))))
            }
            Way::Shared(mut sender) => {
                *request.uri_mut() = self.uri.clone();
                request.headers_mut().remove(HOST);
                Ok(sender.try_send_request(request).await?.map(AnswerBody::shared))
            }
        }
    }

    /// A connection that there is.
    async fn known(&self) -> Option<Way> {
        while let Some(line) = self.idle.take() {
            if !line.is_worn() {
                return Some(Way::Own(line));
            }
            if let Some(line) = Box::pin(line.renewed()).await {
                return Some(Way::Own(line));
            }
        }
        self.shared()
    }

    fn shared(&self) -> Option<Way> {
        lock(&self.shared).as_ref().filter(|shared| !shared.is_closed()).cloned().map(Way::Shared)
    }

    async fn open(&self) -> Result<Way, SendError> {
        // Who waits for its turn waits for a connection as well.
        let opened = timeout(self.transport.connect_limit, async {
            let mut turn = None;
            if !self.speaks_http1.load(Ordering::Relaxed) {
                turn = Some(self.turn.lock().await);
                if let Some(shared) = self.shared() {
                    return Ok(shared);
                }
            }
            // Found out in the meantime.
            if self.speaks_http1.load(Ordering::Relaxed) {
                turn = None;
            }
            let way = self.begin(self.transport.connect(&self.uri).await?).await;
            drop(turn);
            way
        });
        opened.await.unwrap_or(Err(SendError::ConnectTimedOut))
    }

    async fn begin(&self, stream: Stream) -> Result<Way, SendError> {
        let is_http2 = stream.connected().is_negotiated_h2();
        self.speaks_http1.store(!is_http2, Ordering::Relaxed);
        if !is_http2 {
            return Ok(Way::Own(Line::new(stream).await?));
        }
        let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(self.transport.connect_limit)
            .adaptive_window(true)
            .handshake(stream)
            .await?;
        // It carries many calls and outlives each of them. How it ends, they hear.
        tokio::spawn(async move { drop(connection.await) });
        sender.ready().await?;
        *lock(&self.shared) = Some(sender.clone());
        Ok(Way::Shared(sender))
    }
}

/// Connections that carry nothing, the one that was used last at the back.
#[derive(Default)]
pub struct Idle {
    pool: Mutex<Pool>,
}

#[derive(Default)]
struct Pool {
    lines: VecDeque<(Instant, Line)>,
    /// A task closes those that nobody wants.
    is_swept: bool,
}

impl Idle {
    pub fn keep(self: &Arc<Self>, line: Line) {
        let mut pool = lock(&self.pool);
        if pool.lines.len() < POOL_IDLE_MAX {
            pool.lines.push_back((Instant::now(), line));
        }
        if !pool.is_swept
            && let Ok(runtime) = Handle::try_current()
        {
            pool.is_swept = true;
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// The one that was used last.
    fn take(&self) -> Option<Line> {
        loop {
            let (_, mut line) = lock(&self.pool).lines.pop_back()?;
            if line.is_free() {
                return Some(line);
            }
        }
    }
}

/// Closes what was idle for too long, or was closed by the other side, until nothing is left.
async fn sweep(idle: Weak<Idle>) {
    loop {
        sleep(POOL_IDLE / 5).await;
        let Some(idle) = idle.upgrade() else { return };
        let mut pool = lock(&idle.pool);
        pool.lines.retain_mut(|(since, line)| since.elapsed() < POOL_IDLE && line.is_free());
        if pool.lines.is_empty() {
            pool.is_swept = false;
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
