//! The bounded handle: what the rest of the program holds instead of an `Addr`.
//!
//! An `Addr` goes round its mailbox's bound in three ways and lets the actor skip messages whose sender has left. A [`Handle`]
//! counts every message with a permit, from the moment it is accepted until the actor has answered it, whoever still waits for the
//! answer. So an accepted message is always handled, and `capacity` is a bound on work, not only on a queue.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use actix::dev::channel::AddressSender;
use actix::{Actor, Context, Handler, Message};
use actix_rt::ArbiterHandle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

/// Why a question got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// As many messages as the actor accepts are under way; the message was not sent.
    #[error("overloaded")]
    Overloaded,
    /// The actor has ended or is drained, or it panicked on this very message.
    #[error("not available")]
    Closed,
    /// No answer came in time. The actor handles the message all the same.
    #[error("no answer in time")]
    Timeout,
}

/// A bounded way to an actor. Clones share the bound. The actor ends when the last clone is gone.
pub struct Handle<A: Actor> {
    line: Arc<Line<A>>,
}

struct Line<A: Actor> {
    sender: AddressSender<A>,
    permits: Arc<Semaphore>,
    capacity: usize,
    arbiter: ArbiterHandle,
    name: &'static str,
}

impl<A: Actor> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self { line: Arc::clone(&self.line) }
    }
}

impl<A: Actor<Context = Context<A>>> Handle<A> {
    pub(super) fn new(sender: AddressSender<A>, capacity: usize, arbiter: ArbiterHandle, name: &'static str) -> Self {
        let capacity = capacity.min(Semaphore::MAX_PERMITS);
        Self { line: Arc::new(Line { sender, permits: Arc::new(Semaphore::new(capacity)), capacity, arbiter, name }) }
    }

    /// Sends the message and waits for the answer. Fails at once when the bound is reached.
    pub async fn ask<M>(&self, message: M) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        self.post(message)?.await
    }

    /// [`Handle::ask`] for messages that answer a `Result` themselves: one `Result` instead of two.
    pub async fn ask_flat<M, T, E>(&self, message: M) -> Result<T, E>
    where
        A: Handler<M>,
        M: Message<Result = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<AskError> + Send + 'static,
    {
        self.ask(message).await?
    }

    /// [`Handle::ask`], but waits no longer than `limit`.
    pub async fn ask_within<M>(&self, message: M, limit: Duration) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        tokio::time::timeout(limit, self.ask(message)).await.unwrap_or(Err(AskError::Timeout))
    }

    /// Sends a message that must happen, and does not wait for it.
    ///
    /// An `Err` means it was not accepted. `Ok` means the actor handles it, also when the caller's future is dropped right after;
    /// if the actor panics on it, that is logged and counted in `tollgate_actor_lost_total`.
    pub fn tell<M>(&self, message: M) -> Result<(), AskError>
    where
        A: Handler<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        // A tell is a question whose asker leaves at once.
        self.post(message).map(drop)
    }

    /// The actor's name in logs and metrics.
    pub fn name(&self) -> &'static str {
        self.line.name
    }

    /// Messages under way: waiting, or accepted and not yet answered.
    pub fn queued(&self) -> usize {
        self.line.capacity.saturating_sub(self.line.permits.available_permits())
    }

    /// From now on every message is refused with `Closed`; what is under way is still answered.
    pub fn close(&self) {
        self.line.permits.close();
    }

    fn post<M>(&self, message: M) -> Result<UnderWay<'_, A, M::Result>, AskError>
    where
        A: Handler<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        let permit = Arc::clone(&self.line.permits).try_acquire_owned().map_err(|refusal| match refusal {
            TryAcquireError::Closed => AskError::Closed,
            TryAcquireError::NoPermits => {
                metrics::counter!("tollgate_actor_refused_total", "actor" => self.line.name).increment(1);
                AskError::Overloaded
            }
        })?;
        self.post_with(message, Some(permit))
    }

    /// Without a permit only the drain posts: one message per actor.
    pub(super) fn post_with<M>(
        &self,
        message: M,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<UnderWay<'_, A, M::Result>, AskError>
    where
        A: Handler<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        let answer = self.line.sender.send(message).map_err(|_| AskError::Closed)?;
        Ok(UnderWay { line: &self.line, state: Some((answer, permit)) })
    }
}

/// An accepted message on its way to an answer; it resolves to that answer.
///
/// Dropping it early must neither make the actor skip the message (it does when the answer's receiver is gone) nor give the permit
/// back before its time: both move to a task on the actor's own arbiter, which lives as long as the actor can.
pub(super) struct UnderWay<'a, A: Actor, R: Send + 'static> {
    line: &'a Line<A>,
    state: Option<(oneshot::Receiver<R>, Option<OwnedSemaphorePermit>)>,
}

impl<A: Actor, R: Send + 'static> Future for UnderWay<'_, A, R> {
    type Output = Result<R, AskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let Some((answer, _)) = self.state.as_mut() else { return Poll::Ready(Err(AskError::Closed)) };
        let answer = ready!(Pin::new(answer).poll(cx));
        self.state = None;
        Poll::Ready(answer.map_err(|_| AskError::Closed))
    }
}

impl<A: Actor, R: Send + 'static> Drop for UnderWay<'_, A, R> {
    // Mutant: an empty body turns `a_told_message_is_handled_although_its_sender_is_gone` and
    // `an_asker_who_leaves_does_not_make_room_before_the_actor_is_done` red.
    fn drop(&mut self) {
        let Some((answer, permit)) = self.state.take() else { return };
        let name = self.line.name;
        self.line.arbiter.spawn(async move {
            if answer.await.is_err() {
                tracing::error!(actor = name, "actor did not finish a message that nobody waits for");
                metrics::counter!("tollgate_actor_lost_total", "actor" => name).increment(1);
            }
            drop(permit);
        });
    }
}
