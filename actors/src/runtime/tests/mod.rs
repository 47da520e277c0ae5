//! Tests of the runtime, and the actor they torment. Time stands still in most of them and jumps to the next timer.

mod arbiters;
mod drain;
mod handle;
mod supervise;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Crash, Drain, Handle, RestartPolicy, Supervision, start};
use crate::crashable;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Started,
    Restarting,
    Stopping,
    Stopped,
    Added,
    Drained,
    GivenUp,
}

/// What happened to an actor, in order, with the time of each event.
#[derive(Clone, Default)]
pub(super) struct Diary(Arc<Mutex<Vec<(Instant, Event)>>>);

impl Diary {
    pub(super) fn note(&self, event: Event) {
        self.0.lock().unwrap().push((Instant::now(), event));
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().iter().map(|(_, event)| *event).collect()
    }

    pub(super) fn times_of(&self, wanted: Event) -> Vec<Instant> {
        self.0.lock().unwrap().iter().filter(|(_, event)| *event == wanted).map(|(at, _)| *at).collect()
    }
}

/// Counts from `base`; a restart "reads" the count 100 back. It panics wherever it is told to.
#[derive(Default)]
pub(super) struct Fragile {
    pub(super) count: u32,
    pub(super) diary: Diary,
    pub(super) panic_on_start: bool,
    /// So many restarts fail.
    pub(super) panics_in_restarting: u32,
}

impl Actor for Fragile {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        assert!(!self.panic_on_start, "panic in started");
        self.diary.note(Event::Started);
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        self.diary.note(Event::Stopping);
        Running::Stop
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.diary.note(Event::Stopped);
    }
}

impl Supervised for Fragile {
    fn restarting(&mut self, _: &mut Self::Context) {
        if let Some(left) = self.panics_in_restarting.checked_sub(1) {
            self.panics_in_restarting = left;
            panic!("panic in restarting");
        }
        self.diary.note(Event::Restarting);
        self.panic_on_start = false;
        self.count = 100;
    }
}

crashable!(Fragile);

/// Adds one and answers the count.
#[derive(Message)]
#[rtype(u32)]
pub(super) struct Add;

impl Handler<Add> for Fragile {
    type Result = u32;

    fn handle(&mut self, _: Add, _: &mut Self::Context) -> u32 {
        self.diary.note(Event::Added);
        self.count += 1;
        self.count
    }
}

/// Ends the actor by its own wish.
#[derive(Message)]
#[rtype("()")]
pub(super) struct Stop;

impl Handler<Stop> for Fragile {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// Answers when it is notified; the actor goes on meanwhile.
#[derive(Message)]
#[rtype("()")]
pub(super) struct WaitFor(pub(super) Arc<Notify>);

impl Handler<WaitFor> for Fragile {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: WaitFor, _: &mut Self::Context) -> Self::Result {
        Box::pin(async move { message.0.notified().await })
    }
}

impl Handler<Drain> for Fragile {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {
        self.diary.note(Event::Drained);
    }
}

/// A supervision whose giving up is noted in the diary.
pub(super) fn supervision(policy: RestartPolicy, diary: &Diary) -> Supervision {
    let diary = diary.clone();
    Supervision {
        policy,
        on_exhausted: Arc::new(move |name| {
            assert_eq!(name, "fragile");
            diary.note(Event::GivenUp);
        }),
    }
}

/// Starts the actor on the test's own thread.
pub(super) fn start_here(fragile: Fragile, capacity: usize, policy: RestartPolicy) -> Handle<Fragile> {
    let supervision = supervision(policy, &fragile.diary);
    start(&Arbiter::current(), "fragile", capacity, &supervision, |_| fragile)
}

/// Lets everything happen that is due within ten seconds of a standing clock.
pub(super) async fn let_it_happen() {
    tokio::time::sleep(Duration::from_secs(10)).await;
}
