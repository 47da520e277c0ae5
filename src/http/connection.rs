//! A client's connection, and how long it may keep us waiting.
//!
//! Of actix's deadlines none is for a later head that stalls, or for a body that nobody reads and that drips: they would hold their
//! connections for ever. Those for the first head and for an idle connection fire on a request that has arrived, when the worker is
//! late. So the socket watches itself.

use super::crowd::spread;
use actix_web::dev::{Extensions, ServiceRequest};
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use turns::Place;

mod turns;

#[cfg(test)]
mod tests;

pub use turns::Turns;

/// To who never finished the first head of a connection: on a later one an answer may still be on its way.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How long a client is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To the whole head: from the connection's beginning, later from the first byte that belongs to no request yet.
    pub head: Duration,
    /// From an answer to the next byte.
    pub idle: Duration,
}

/// What a connection does, told by its socket and by the requests on it.
#[derive(Debug)]
struct Pulse {
    serving: Cell<u32>,
    /// When bytes came of which no request has been made yet, or were due.
    unread_since: Cell<Option<Instant>>,
    /// Or a request was done with.
    written_at: Cell<Option<Instant>>,
}

impl Pulse {
    fn received(&self) {
        if self.unread_since.get().is_none() {
            self.unread_since.set(Some(Instant::now()));
        }
    }

    /// When the connection is to be cut, as things stand; `None` while a request is served: that has deadlines of its own.
    fn due(&self, patience: Patience) -> Option<Instant> {
        if self.serving.get() > 0 {
            return None;
        }
        match (self.unread_since.get(), self.written_at.get()) {
            // A stream may still go out to a client that has begun its next request.
            (Some(since), written) => Some(written.map_or(since, |written| since.max(written)) + patience.head),
            (None, written) => written.map(|written| written + patience.idle),
        }
    }
}

/// A request under way: while this lives, its connection is not the one that is waited for.
#[derive(Debug)]
pub struct Serving(Rc<Pulse>);

impl Serving {
    /// `None` for a test's request, which has no socket.
    pub fn of(request: &ServiceRequest) -> Option<Self> {
        let pulse = Rc::clone(request.conn_data::<Rc<Pulse>>()?);
        pulse.serving.set(pulse.serving.get().saturating_add(1));
        pulse.unread_since.set(None);
        Some(Self(pulse))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.serving.set(self.0.serving.get().saturating_sub(1));
        self.0.written_at.set(Some(Instant::now()));
    }
}

/// A socket that ends when its client keeps us waiting.
pub struct Watched {
    stream: TcpStream,
    pulse: Rc<Pulse>,
    patience: Patience,
    alarm: Pin<Box<Sleep>>,
    turns: Turns,
    place: Rc<Place>,
}

impl Watched {
    pub fn new(stream: TcpStream, patience: Patience, turns: Turns) -> Self {
        let patience = Patience { head: spread(patience.head), idle: spread(patience.idle) };
        let pulse = Pulse { serving: Cell::new(0), unread_since: Cell::new(Some(Instant::now())), written_at: Cell::new(None) };
        Self { stream, pulse: Rc::new(pulse), patience, alarm: Box::pin(sleep(patience.head)), turns, place: Rc::default() }
    }

    /// Lets the connection's requests find it.
    pub fn introduce(&self, connection: &mut Extensions) {
        connection.insert(Rc::clone(&self.pulse));
    }

    /// Ready when the client's time is over. Looks after each `head`, however often bytes come: a timer that was set anew for
    /// each request would cost more than the request's parsing.
    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.alarm.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let next_look = now + self.patience.head;
            let due = self.pulse.due(self.patience).unwrap_or(next_look);
            // Mutant: without this the tests of this file hang, and no malformed request with a stalled body is closed.
            if due <= now {
                if self.pulse.written_at.get().is_none() {
                    // A client that takes nothing in goes without.
                    drop(self.stream.try_write(TOO_SLOW));
                }
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(due.min(next_look));
        }
        Poll::Pending
    }

    fn note_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(1..)) = written {
            self.pulse.written_at.set(Some(Instant::now()));
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.stream.poll_read_ready(context)?.is_pending() {
            return self.poll_alarm(context);
        }
        // What has arrived is ours to read: from now on it is not the client who is late.
        if !self.turns.may_read(&self.place, context) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            return self.poll_alarm(context);
        }
        if buffer.filled().len() > before {
            self.pulse.received();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
