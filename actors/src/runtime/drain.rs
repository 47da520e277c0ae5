//! The orderly end: messages that ask an actor to finish, and the count of tasks that must not be cut off. Also [`Crash`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, Context, Handler, Message};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::handle::{AskError, Handle};

/// The last message of an actor's life: finish what is begun, write down what is held in memory, then answer.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;

impl<A: Actor<Context = Context<A>> + Handler<Drain>> Handle<A> {
    /// Closes the handle, then sends [`Drain`] behind all that was accepted, and waits for the actor to answer it.
    ///
    /// `Drain` needs no permit: an overloaded actor must be able to end. Whoever still wants something of the actor while it
    /// drains gets `Closed`, so drain those who ask before those who answer.
    pub async fn drain(&self, limit: Duration) -> Result<(), AskError> {
        self.close();
        let drained = self.post_with(Drain, None)?;
        tokio::time::timeout(limit, drained).await.unwrap_or(Err(AskError::Timeout))
    }
}

/// Makes the actor panic: the fault that tests of the supervision put in. Its asker gets `Closed`.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Crash;

/// Lets these actors be crashed with [`Crash`]: `crashable!(LedgerActor, LimiterActor);`
#[macro_export]
macro_rules! crashable {
    ($($actor:ty),+ $(,)?) => {$(
        impl ::actix::Handler<$crate::runtime::Crash> for $actor {
            type Result = ();

            fn handle(&mut self, _: $crate::runtime::Crash, _: &mut Self::Context) {
                ::std::panic::resume_unwind(::std::boxed::Box::new("crashed on request"))
            }
        }
    )+};
}

/// What ended and what did not, when the drain was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainReport {
    /// Ended during the drain, by themselves or by a panic.
    pub finished: usize,
    /// Still under way when the limit was reached; they go on until their runtime ends.
    pub abandoned: usize,
}

/// Counts what must not be cut off by the end of the process: tasks, and answers that are still streaming. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    tracker: TaskTracker,
    begun: Arc<AtomicUsize>,
}

impl InFlight {
    /// Spawns a task on the current runtime and counts it.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.tracker.spawn(task)
    }

    /// Counts something that is not a task of its own, such as a response body, until the token is dropped.
    pub fn token(&self) -> TaskTrackerToken {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.tracker.token()
    }

    /// How many are under way.
    pub fn count(&self) -> usize {
        self.tracker.len()
    }

    /// Waits until none is under way, but no longer than `limit`. What begins meanwhile is waited for, too.
    pub async fn drain(&self, limit: Duration) -> DrainReport {
        let (under_way, begun) = (self.count(), self.begun.load(Ordering::Relaxed));
        self.tracker.close();
        // Mutant: without the time-out `a_drain_abandons_what_outlasts_its_limit` does not end.
        let in_time = tokio::time::timeout(limit, self.tracker.wait()).await.is_ok();
        let joined = self.begun.load(Ordering::Relaxed).wrapping_sub(begun);
        let abandoned = if in_time { 0 } else { self.count() };
        DrainReport { finished: (under_way + joined).saturating_sub(abandoned), abandoned }
    }
}
