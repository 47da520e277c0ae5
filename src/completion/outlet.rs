//! The client's end of a stream: a bounded channel between the task that owns the call and the body that actix polls.

use crate::http::error::ApiError;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_channel::mpsc;
use futures_util::StreamExt;
use futures_util::future::poll_fn;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// Pieces between the provider and the socket. Each is what one read of the provider gave; a slow client holds up the
/// provider, not our memory. The channel is a list of them: tokio's has room for 32 as soon as it has one, 2 KiB for each stream.
const PIECES_MAX: usize = 4;
/// Longest silence towards the client. A client that has left is noticed by the second write after that, so within two
/// seconds.
const PING_EVERY: Duration = Duration::from_millis(700);
const PING: Bytes = Bytes::from_static(b": ping\n\n");

/// Nobody reads any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

enum Piece {
    Bytes(Bytes),
    /// The body ends well.
    End,
}

/// What the handler waits for: the answer's head, or why there is none.
pub type HeadSender<H> = oneshot::Sender<Result<H, ApiError>>;

/// The task's side.
pub struct Outlet<H> {
    /// Until the first bytes go out; so a failure before them still has a status of its own.
    head: Option<(HeadSender<H>, H)>,
    pieces: mpsc::Sender<Piece>,
    /// Closed when the body is dropped.
    body: oneshot::Sender<Infallible>,
    write_timeout: Duration,
    silent_since: Instant,
}

/// The client's side: the body. Dropped, it tells the task that the client has left.
pub struct Outflow {
    pieces: mpsc::Receiver<Piece>,
    _lives: oneshot::Receiver<Infallible>,
    /// The task has ended, and not well.
    is_cut: bool,
}

/// Joins the two. The head, which is made from the body, goes out with the first bytes.
pub fn open<H>(sender: HeadSender<H>, write_timeout: Duration, head: impl FnOnce(Outflow) -> H) -> Outlet<H> {
    // A sender has a place of its own.
    let (pieces, receiver) = mpsc::channel(PIECES_MAX - 1);
    let (body, lives) = oneshot::channel();
    let outflow = Outflow { pieces: receiver, _lives: lives, is_cut: false };
    Outlet { head: Some((sender, head(outflow))), pieces, body, write_timeout, silent_since: Instant::now() }
}

impl<H> Outlet<H> {
    /// Hands bytes to the client; waits while it is slow, but no longer than the write time-out.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn send(&mut self, bytes: Bytes) -> Result<(), Gone> {
        self.put(Piece::Bytes(bytes)).await
    }

    /// Hands over the last bytes and ends the body.
    pub async fn finish(mut self, last: Bytes) {
        if self.put(Piece::Bytes(last)).await.is_ok() {
            // A client that has left by now has everything.
            let _ = self.put(Piece::End).await;
        }
    }

    /// Tells the client what went wrong: by the status while there is none yet, else by one last event, after which the
    /// connection is cut (decision 9).
    pub async fn fail(mut self, error: ApiError) {
        match self.head.take() {
            Some((head, _)) => drop(head.send(Err(error))),
            // Whether or not it is read, this is the end; the dropped sender cuts the connection.
            None => _ = self.put(Piece::Bytes(error_event(&error))).await,
        }
    }

    /// When the next ping is due.
    pub fn ping_at(&self) -> Instant {
        self.silent_since + PING_EVERY
    }

    /// Writes a comment, so that a client that has left is noticed.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn ping(&mut self) -> Result<(), Gone> {
        self.send(PING).await
    }

    /// Resolves when nobody reads any more.
    pub async fn gone(&mut self) {
        match &mut self.head {
            Some((head, _)) => head.closed().await,
            None => self.body.closed().await,
        }
    }

    async fn put(&mut self, piece: Piece) -> Result<(), Gone> {
        if let Some((sender, head)) = self.head.take() {
            sender.send(Ok(head)).map_err(|_| Gone)?;
        }
        if let Err(refused) = self.pieces.try_send(piece) {
            if refused.is_disconnected() {
                return Err(Gone);
            }
            let room = timeout(self.write_timeout, poll_fn(|cx| self.pieces.poll_ready(cx)));
            room.await.map_err(|_| Gone)?.map_err(|_| Gone)?;
            self.pieces.start_send(refused.into_inner()).map_err(|_| Gone)?;
        }
        self.silent_since = Instant::now();
        Ok(())
    }
}

/// One event with OpenAI's error object.
fn error_event(error: &ApiError) -> Bytes {
    let kind = match error.status().as_u16() {
        402 => "insufficient_quota",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    let object = serde_json::json!({
        "error": {"message": error.message(), "type": kind, "code": error.code(), "param": null}
    });
    Bytes::from(format!("data: {object}\n\n"))
}

/// The task ended without ending the body: the client must see a broken connection, not a whole answer.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the stream was cut")]
pub struct Cut;

impl MessageBody for Outflow {
    type Error = Cut;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if self.is_cut {
            return Poll::Ready(Some(Err(Cut)));
        }
        match self.pieces.poll_next_unpin(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Piece::Bytes(bytes))) => Poll::Ready(Some(Ok(bytes))),
            Poll::Ready(Some(Piece::End)) => Poll::Ready(None),
            // actix throws away what it has not written yet when a body fails: it is let write first.
            // Mutant: failing at once loses the error event: `every_fault_of_a_stream_ends_in_one_terminal_event…` is red.
            Poll::Ready(None) => {
                self.is_cut = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn joined(write_timeout: Duration) -> (Outlet<Outflow>, oneshot::Receiver<Result<Outflow, ApiError>>) {
        let (sender, head) = oneshot::channel();
        (open(sender, write_timeout, |body| body), head)
    }

    async fn next(body: &mut Outflow) -> Option<Result<Bytes, Cut>> {
        poll_fn(|cx| Pin::new(&mut *body).poll_next(cx)).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_head_goes_out_with_the_first_bytes_and_the_body_ends_well() {
        let (mut outlet, mut head) = joined(Duration::from_secs(30));
        assert!(head.try_recv().is_err());
        outlet.send(Bytes::from_static(b"a")).await.unwrap();
        let mut body = head.await.unwrap().unwrap();
        outlet.finish(Bytes::from_static(b"b")).await;
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "a");
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "b");
        assert!(next(&mut body).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_before_the_first_bytes_has_a_status_and_a_later_one_an_event_and_a_cut() {
        let (outlet, head) = joined(Duration::from_secs(30));
        outlet.fail(ApiError::bad_gateway()).await;
        assert_eq!(head.await.unwrap().err().unwrap().status().as_u16(), 502);
        let (mut outlet, head) = joined(Duration::from_secs(30));
        outlet.ping().await.unwrap();
        outlet.fail(ApiError::bad_gateway()).await;
        let mut body = head.await.unwrap().unwrap();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), ": ping\n\n");
        assert!(next(&mut body).await.unwrap().unwrap().starts_with(b"data: {\"error\":{"));
        assert!(next(&mut body).await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_task_cuts_the_body() {
        let (mut outlet, head) = joined(Duration::from_secs(30));
        outlet.ping().await.unwrap();
        drop(outlet);
        let mut body = head.await.unwrap().unwrap();
        assert!(next(&mut body).await.unwrap().is_ok());
        assert!(next(&mut body).await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_is_noticed_before_and_after_the_head() {
        let (mut outlet, head) = joined(Duration::from_secs(30));
        drop(head);
        outlet.gone().await;
        let (mut outlet, head) = joined(Duration::from_secs(30));
        outlet.ping().await.unwrap();
        drop(head);
        outlet.gone().await;
        assert_eq!(outlet.ping().await, Err(Gone));
    }

    // Mutant: a channel of one more piece.
    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_holds_up_the_task_and_gets_every_piece_in_order() {
        let (mut outlet, head) = joined(Duration::from_secs(30));
        let numbered = |number: usize| Bytes::from(number.to_string());
        for number in 0..PIECES_MAX {
            outlet.send(numbered(number)).now_or_never().expect("there is room").unwrap();
        }
        let mut body = head.await.unwrap().unwrap();
        let sending = async {
            outlet.send(numbered(PIECES_MAX)).await.unwrap();
            outlet
        };
        let mut sending = std::pin::pin!(sending);
        assert!(sending.as_mut().now_or_never().is_none(), "one too many");
        for number in 0..=PIECES_MAX {
            assert_eq!(next(&mut body).await.unwrap().unwrap(), numbered(number));
            if number == 0 {
                drop(sending.as_mut().await);
            }
        }
        assert!(next(&mut body).await.unwrap().is_err(), "the task has not ended it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_never_reads_is_given_up() {
        let (mut outlet, head) = joined(Duration::from_secs(30));
        let started = Instant::now();
        while outlet.send(PING).await.is_ok() {}
        assert_eq!(started.elapsed().as_secs(), 30);
        drop(head);
    }
}
