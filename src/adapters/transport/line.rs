//! One HTTP/1.1 connection, driven by the task whose call it carries: no other task is woken for it.

use super::Stream;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::{Request, Response};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use tokio::task::coop;

type Outgoing = Request<Full<Bytes>>;

/// As many requests as the first block of hyper's queue has room for, less one for its end.
const CARRIES_MAX: u32 = 31;

/// Dropped, it is closed.
pub struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once the connection is over. In a box, as lines are moved about.
    driver: Option<Box<Connection<Stream, Full<Bytes>>>>,
    /// Requests since it was new.
    carried: u32,
}

impl Line {
    /// # Errors
    /// None in practice: HTTP/1.1 begins without a word.
    pub async fn new(stream: Stream) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::handshake(stream).await?;
        Ok(Self { sender, driver: Some(Box::new(driver)), carried: 0 })
    }

    /// Whether the first block of hyper's queue is used up: it keeps every block that its queue ever needed, 9 KiB for 32 requests
    /// of which there is never more than one.
    ///
    /// Mutant: when none ever is, 1,000 streams keep 10 KiB more each after three minutes (P1).
    pub const fn is_worn(&self) -> bool {
        self.carried >= CARRIES_MAX
    }

    /// The same connection, when it is free, over a new queue and new buffers.
    pub async fn renewed(self) -> Option<Self> {
        // Free, it has written all that it was given.
        let parts = self.driver?.into_parts();
        // Bytes that nobody asked for are no answer to the next request.
        if !parts.read_buf.is_empty() {
            return None;
        }
        Self::new(parts.io).await.ok()
    }

    /// Sends the request; resolves with the answer's head, and the line over which its body comes.
    ///
    /// # Errors
    /// With the request in it when nothing of it was sent.
    pub async fn exchange(mut self, request: Outgoing) -> Result<(Response<Incoming>, Self), TrySendError<Outgoing>> {
        self.carried = self.carried.saturating_add(1);
        let mut answering = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let answer = poll_fn(|context| {
            drive(driver, context);
            answering.as_mut().poll(&mut waiting(driver, context))
        });
        let answer = answer.await?;
        Ok((answer, self))
    }

    /// The next piece of an answer's body.
    pub fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // A fast provider's pieces are always there: others on this thread have their turn as well.
        let progress = ready!(coop::poll_proceed(context));
        let polled = self.poll_incoming(incoming, context);
        if polled.is_ready() {
            progress.made_progress();
        }
        polled
    }

    fn poll_incoming(
        &mut self,
        incoming: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        drive(&mut self.driver, context);
        let polled = Pin::new(&mut *incoming).poll_frame(&mut Context::from_waker(Waker::noop()));
        if polled.is_ready() {
            return polled;
        }
        // Only now does the connection know that more is wanted.
        drive(&mut self.driver, context);
        Pin::new(incoming).poll_frame(&mut waiting(&self.driver, context))
    }

    /// Looks whether it can carry another request: the last answer was read to its end, and the other side has not closed it.
    pub fn is_free(&mut self) -> bool {
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }
}

/// Reads and writes what there is. An end or an error reaches the one who waits for the answer.
fn drive(driver: &mut Option<Box<Connection<Stream, Full<Bytes>>>>, context: &mut Context<'_>) {
    if let Some(connection) = driver
        && Pin::new(connection.as_mut()).poll(context).is_ready()
    {
        *driver = None;
    }
}

/// What waits for the connection needs no waking of its own: nothing but driving, by the same task, makes it ready.
fn waiting<'a>(driver: &Option<Box<Connection<Stream, Full<Bytes>>>>, context: &mut Context<'a>) -> Context<'a> {
    Context::from_waker(if driver.is_some() { Waker::noop() } else { context.waker() })
}
