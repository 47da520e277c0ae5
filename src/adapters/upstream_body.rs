//! The body of an upstream answer, under its time-outs and its bound.

use super::fault;
use super::settings::TimeoutSettings;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http_body_util::BodyExt;
use hyper::body::Body;
use std::error::Error;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tollgate_actors::ports::{GatewayError, Phase};

/// When one call has to have got how far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    first_byte: Instant,
    between_bytes: Duration,
    total: Instant,
}

impl Deadlines {
    pub fn from_now(timeouts: &TimeoutSettings) -> Self {
        let now = Instant::now();
        Self { first_byte: now + timeouts.first_byte, between_bytes: timeouts.between_bytes, total: now + timeouts.total }
    }

    /// The same, but the whole answer must be here this soon.
    pub fn within(self, limit: Duration) -> Self {
        Self { total: self.total.min(Instant::now() + limit), ..self }
    }

    /// The deadline for the head and the first byte, and whose it is.
    pub fn first(&self) -> (Instant, Phase) {
        self.capped(self.first_byte, Phase::FirstByte)
    }

    /// The deadline for the next byte after one that came now.
    fn next(&self) -> (Instant, Phase) {
        self.capped(Instant::now() + self.between_bytes, Phase::BetweenBytes)
    }

    fn are_over(&self) -> bool {
        Instant::now() >= self.total
    }

    // Mutant: without the cap `an_answer_that_never_ends_is_cut_by_the_total_time_out` does not end.
    fn capped(&self, at: Instant, phase: Phase) -> (Instant, Phase) {
        if at < self.total { (at, phase) } else { (self.total, Phase::Total) }
    }
}

/// A body that ends, breaks or runs out of time. Dropping it closes the upstream connection, or resets its HTTP/2 stream.
pub(super) struct UpstreamBody<B> {
    /// `None` when it is over.
    incoming: Option<B>,
    deadlines: Deadlines,
    bytes_left: u64,
    begun: bool,
}

impl<B> UpstreamBody<B>
where
    B: Body<Data = Bytes, Error: Error + 'static> + Unpin,
{
    /// At most `bytes_max` of the body are handed out; more is [`GatewayError::TooLarge`].
    pub const fn new(incoming: B, deadlines: Deadlines, bytes_max: u64) -> Self {
        Self { incoming: Some(incoming), deadlines, bytes_left: bytes_max, begun: false }
    }

    /// The next piece; `None` after the last one, and after an error.
    pub async fn next(&mut self) -> Option<Result<Bytes, GatewayError>> {
        let incoming = self.incoming.as_mut()?;
        let (deadline, phase) = if self.begun { self.deadlines.next() } else { self.deadlines.first() };
        let piece = match timeout_at(deadline, next_data(incoming)).await {
            // Who always has more is never waited for: then no time-out runs out by itself.
            Ok(Some(Ok(_))) if self.deadlines.are_over() => Err(GatewayError::Timeout(Phase::Total)),
            Ok(Some(Ok(piece))) => self.admit(piece),
            Ok(None) => {
                self.incoming = None;
                return None;
            }
            Ok(Some(Err(error))) => Err(fault::of_body(&error)),
            Err(_) => Err(GatewayError::Timeout(phase)),
        };
        if piece.is_err() {
            self.incoming = None;
        }
        Some(piece)
    }

    fn admit(&mut self, piece: Bytes) -> Result<Bytes, GatewayError> {
        self.begun = true;
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.bytes_left = self.bytes_left.checked_sub(length).ok_or(GatewayError::TooLarge)?;
        Ok(piece)
    }

    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes, GatewayError>>
    where
        B: Send + 'static,
    {
        stream::unfold(self, |mut body| async move { Some((body.next().await?, body)) }).boxed()
    }

    /// All of it.
    pub async fn collect(mut self) -> Result<Vec<u8>, GatewayError> {
        // A long list that grows piece by piece is copied, and takes twice its room meanwhile. What is only announced takes none.
        let announced = self.incoming.as_ref().and_then(|incoming| incoming.size_hint().exact()).unwrap_or_default();
        let mut whole = Vec::with_capacity(usize::try_from(announced.min(self.bytes_left)).unwrap_or_default());
        while let Some(piece) = self.next().await {
            whole.extend_from_slice(&piece?);
        }
        Ok(whole)
    }

    /// What comes of it before it breaks, stalls or reaches its bound; the piece that reaches it is cut.
    pub async fn collect_what_comes(mut self) -> Vec<u8> {
        let room = usize::try_from(self.bytes_left).unwrap_or(usize::MAX);
        self.bytes_left = u64::MAX;
        let mut came = Vec::new();
        while came.len() < room
            && let Some(Ok(piece)) = self.next().await
        {
            came.extend_from_slice(&piece);
        }
        came.truncate(room);
        came
    }
}

/// The next piece of data; trailers say nothing of an answer.
async fn next_data<B: Body<Data = Bytes> + Unpin>(incoming: &mut B) -> Option<Result<Bytes, B::Error>> {
    loop {
        match incoming.frame().await? {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}
