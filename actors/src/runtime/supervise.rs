//! Supervision: a panic costs the message that caused it, never the actor.
//!
//! `actix::Supervisor` reacts to `ctx.stop()` only. Here a panic is caught outside the actor's future, so the mailbox lives on:
//! same address, queued messages kept. Then, after a back-off, `restarting()` rebuilds the state and `started()` runs again.
//!
//! What an actor must know about a restart:
//! - Its futures and timers are gone (`ctx.spawn`, `run_interval`, `ResponseActFuture`; their askers get `Closed`). Timers belong in
//!   `started()`, I/O in `ResponseFuture`s, which outlive the restart.
//! - `actix` forgets to clear the cancellations of the poll that panicked, and counts spawn handles from one again: an actor that
//!   calls `cancel_future` may lose a timer armed anew. Prefer a timer that checks whether it is still wanted.
//! - No hook runs because of the panic. `ctx.stop()` is a wish and not a failure: it ends the actor for good.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use actix::dev::ContextFut;
use actix::dev::channel::channel;
use actix::{ActorContext, Context, Supervised};
use actix_rt::ArbiterHandle;
use futures_util::FutureExt;
use tokio::time::Instant;

use super::handle::Handle;

/// How often an actor may be restarted, and how long it rests before each restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Restarts allowed within the window; the next panic spends the budget.
    pub max_restarts: u32,
    /// Length of the sliding window.
    pub within: Duration,
    /// Rest before the first restart of a quiet window; doubles with every restart in the window.
    pub backoff_first: Duration,
    /// Longest rest.
    pub backoff_max: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            max_restarts: 10,
            within: Duration::from_secs(60),
            backoff_first: Duration::from_millis(10),
            backoff_max: Duration::from_secs(1),
        }
    }
}

/// The policy, and whom to tell when an actor cannot be kept alive.
#[derive(Clone)]
pub struct Supervision {
    pub policy: RestartPolicy,
    /// Called once with the actor's name when its budget is spent or it could not be built. It runs on the actor's arbiter.
    pub on_exhausted: Arc<dyn Fn(&'static str) + Send + Sync>,
}

/// Starts an actor on that arbiter under supervision. The handle stays valid across panics.
///
/// At most `capacity` messages are under way at a time. The actor ends when it calls `ctx.stop()`, when the last handle (and
/// address) is dropped and its mailbox is empty, when its budget is spent, or with its arbiter.
pub fn start<A>(
    arbiter: &ArbiterHandle,
    name: &'static str,
    capacity: usize,
    supervision: &Supervision,
    build: impl FnOnce(&mut Context<A>) -> A + Send + 'static,
) -> Handle<A>
where
    A: Supervised<Context = Context<A>>,
{
    // Zero is unbounded to actix. The handle's permits are the bound: unlike a mailbox's, every sender meets them.
    let (sender, receiver) = channel(0);
    let supervision = supervision.clone();
    // Seen at 0 from the start: who has never been restarted is known, too.
    metrics::counter!("tollgate_actor_restarts_total", "actor" => name).increment(0);
    let accepted = arbiter.spawn_fn(move || {
        let mut context = Context::with_receiver(receiver);
        match catch_unwind(AssertUnwindSafe(|| build(&mut context))) {
            Ok(actor) => drop(actix_rt::spawn(supervise(context.into_future(actor), name, supervision))),
            Err(panic) => give_up(name, panic.as_ref(), &supervision),
        }
    });
    if !accepted {
        tracing::error!(actor = name, "actor not started: its arbiter has stopped");
    }
    Handle::new(sender, capacity, arbiter.clone(), name)
}

/// Runs the actor until it ends by its own wish or has spent its restarts.
async fn supervise<A>(mut life: ContextFut<A, Context<A>>, name: &'static str, supervision: Supervision)
where
    A: Supervised<Context = Context<A>>,
{
    let mut budget = RestartBudget::new(supervision.policy);
    // Mutant: awaiting `life` without the catch_unwind turns `every_way_to_panic_is_survived_under_our_supervision` red.
    let mut ended = AssertUnwindSafe(&mut life).catch_unwind().await;
    while let Err(panic) = ended {
        // Until the restart the state may be broken. If the arbiter stops meanwhile, no hook shall see it.
        // Mutant: without this line `hooks_do_not_run_on_a_broken_state` is red.
        life.ctx().terminate();
        let Some(backoff) = budget.spend(Instant::now()) else { return give_up(name, panic.as_ref(), &supervision) };
        tracing::error!(actor = name, panic = panic_text(panic.as_ref()), ?backoff, "actor panicked and is restarted");
        metrics::counter!("tollgate_actor_restarts_total", "actor" => name).increment(1);
        tokio::time::sleep(backoff).await;
        ended = AssertUnwindSafe(revive(&mut life)).catch_unwind().await;
    }
}

/// Rebuilds the state and runs on. A panic in `restarting()` is the caller's to catch, like any other.
async fn revive<A>(life: &mut ContextFut<A, Context<A>>)
where
    A: Supervised<Context = Context<A>>,
{
    // `restart` refuses when no sender is left; messages that were sent before the last one went are still to be handled.
    // Mutant: without this address `messages_of_a_dropped_handle_survive_a_panic` is red.
    let address = life.address();
    life.restart();
    drop(address);
    life.await;
}

fn give_up(name: &'static str, panic: &(dyn Any + Send), supervision: &Supervision) {
    tracing::error!(actor = name, panic = panic_text(panic), "actor panicked and is given up");
    (supervision.on_exhausted)(name);
}

/// The text of `panic!("…")`, or a stand-in for payloads of other types.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}

/// The restarts of the last window.
pub(super) struct RestartBudget {
    policy: RestartPolicy,
    recent: VecDeque<Instant>,
}

impl RestartBudget {
    pub(super) fn new(policy: RestartPolicy) -> Self {
        Self { policy, recent: VecDeque::new() }
    }

    /// The rest before the next restart, or `None` when the window holds no more restarts.
    pub(super) fn spend(&mut self, now: Instant) -> Option<Duration> {
        while self.recent.front().is_some_and(|restart| now.duration_since(*restart) >= self.policy.within) {
            self.recent.pop_front();
        }
        let spent = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        if spent >= self.policy.max_restarts {
            return None;
        }
        self.recent.push_back(now);
        Some(self.policy.backoff_first.saturating_mul(2_u32.saturating_pow(spent)).min(self.policy.backoff_max))
    }
}
