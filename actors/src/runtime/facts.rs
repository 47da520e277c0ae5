//! The facts about `actix` 0.13.5 that the runtime is built on, each one tried. When an upgrade turns one of these tests red, a
//! piece of `supervise.rs` or `handle.rs` may have become needless.
//!
//! Only stated, not tried: a second panic in `stopping` or `stopped` while the first unwinds aborts the process, and so does every
//! panic under `panic = "abort"`. That actix-server stops the `System` on a signal is the server's affair.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt;
use tokio::time::pause;

use super::tests::{Add, Diary, Event, Fragile, Stop, let_it_happen, start_here};
use super::{AskError, Crash, RestartPolicy};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    SyncHandler,
    ActorFuture,
    AtomicResponse,
    Interval,
    Started,
}

const WAYS: [Way; 5] = [Way::SyncHandler, Way::ActorFuture, Way::AtomicResponse, Way::Interval, Way::Started];

#[derive(Message)]
#[rtype("()")]
struct InActorFuture;

impl Handler<InActorFuture> for Fragile {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: InActorFuture, _: &mut Self::Context) -> Self::Result {
        Box::pin(async {}.into_actor(self).map(|(), _, _| panic!("panic in an actor future")))
    }
}

#[derive(Message)]
#[rtype("()")]
struct InAtomicResponse;

impl Handler<InAtomicResponse> for Fragile {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: InAtomicResponse, _: &mut Self::Context) -> Self::Result {
        AtomicResponse::new(Box::pin(async { panic!("panic in an atomic response") }.into_actor(self)))
    }
}

#[derive(Message)]
#[rtype("()")]
struct InResponseFuture;

impl Handler<InResponseFuture> for Fragile {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: InResponseFuture, _: &mut Self::Context) -> Self::Result {
        Box::pin(async { panic!("panic in a response future") })
    }
}

/// Makes the actor panic in that way, soon after the answer.
#[derive(Message)]
#[rtype("()")]
struct Panic(Way);

impl Handler<Panic> for Fragile {
    type Result = ();

    fn handle(&mut self, Panic(way): Panic, ctx: &mut Self::Context) {
        match way {
            Way::SyncHandler => ctx.address().do_send(Crash),
            Way::ActorFuture => ctx.address().do_send(InActorFuture),
            Way::AtomicResponse => ctx.address().do_send(InAtomicResponse),
            Way::Interval => drop(ctx.run_interval(Duration::from_millis(1), |_, _| panic!("panic in an interval"))),
            Way::Started => {}
        }
    }
}

fn fragile_in(way: Way, diary: &Diary) -> Fragile {
    Fragile { diary: diary.clone(), panic_on_start: way == Way::Started, ..Fragile::default() }
}

#[actix::test]
async fn every_way_to_panic_is_the_end_under_the_supervisor_of_actix() {
    pause();
    for way in WAYS {
        let diary = Diary::default();
        let fragile = fragile_in(way, &diary);
        let address = Supervisor::start(|_| fragile);
        address.do_send(Panic(way));
        let_it_happen().await;
        assert_eq!(address.send(Add).await, Err(MailboxError::Closed), "{way:?}");
        assert_eq!(diary.times_of(Event::Restarting).len(), 0, "{way:?}");
    }
}

#[actix::test]
async fn every_way_to_panic_is_survived_under_our_supervision() {
    pause();
    for way in WAYS {
        let diary = Diary::default();
        let actor = start_here(fragile_in(way, &diary), 4, RestartPolicy::default());
        actor.tell(Panic(way)).unwrap();
        let_it_happen().await;
        assert_eq!(actor.ask(Add).await, Ok(101), "{way:?}");
        assert_eq!(diary.times_of(Event::Restarting).len(), 1, "{way:?}");
    }
}

#[actix::test]
async fn the_supervisor_of_actix_reacts_to_stop() {
    pause();
    let diary = Diary::default();
    let fragile = fragile_in(Way::SyncHandler, &diary);
    let address = Supervisor::start(|_| fragile);
    address.send(Stop).await.unwrap();
    assert_eq!(address.send(Add).await, Ok(101));
    assert_eq!(diary.times_of(Event::Restarting).len(), 1);
}

#[actix::test]
async fn a_response_future_that_panics_harms_its_own_message_only() {
    pause();
    let diary = Diary::default();
    let plain = fragile_in(Way::SyncHandler, &diary).start();
    assert_eq!(plain.send(InResponseFuture).await, Err(MailboxError::Closed));
    assert_eq!(plain.send(Add).await, Ok(1));

    let ours = start_here(fragile_in(Way::SyncHandler, &diary), 4, RestartPolicy::default());
    assert_eq!(ours.ask(InResponseFuture).await, Err(AskError::Closed));
    assert_eq!(ours.ask(Add).await, Ok(1));
    assert_eq!(diary.times_of(Event::Restarting).len(), 0);
}

struct Dying {
    panicking_in_stopped: Arc<Mutex<Option<bool>>>,
}

impl Actor for Dying {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        panic!("panic in started");
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        *self.panicking_in_stopped.lock().unwrap() = Some(std::thread::panicking());
    }
}

#[actix::test]
async fn stopped_runs_while_a_plain_actor_unwinds() {
    pause();
    let panicking_in_stopped = Arc::default();
    let _address = Dying { panicking_in_stopped: Arc::clone(&panicking_in_stopped) }.start();
    let_it_happen().await;
    assert_eq!(*panicking_in_stopped.lock().unwrap(), Some(true));
}

#[actix::test]
async fn no_address_keeps_to_the_bound_of_the_mailbox_but_a_handle_does() {
    const BOUND: usize = 2;
    const SENT: usize = 50;
    let address = Fragile::create(|ctx| {
        ctx.set_mailbox_capacity(BOUND);
        Fragile::default()
    });
    let sends: Vec<_> = (0..SENT).map(|_| address.send(Add)).collect();
    let sent = futures_util::future::join_all(sends).await;
    assert!(sent.iter().all(Result::is_ok), "send waits for no room");

    (0..SENT).for_each(|_| address.do_send(Add));
    let clones_with_room = (0..SENT).filter(|_| address.clone().try_send(Add).is_ok()).count();
    let recipients_with_room = (0..SENT).filter(|_| address.clone().recipient::<Add>().try_send(Add).is_ok()).count();
    assert_eq!((clones_with_room, recipients_with_room), (SENT, SENT), "each has a slot of its own");
    assert_eq!(address.send(Add).await, Ok(u32::try_from(4 * SENT + 1).unwrap()));

    let handle = start_here(Fragile::default(), BOUND, RestartPolicy::default());
    let accepted = (0..SENT).filter(|_| handle.clone().tell(Add).is_ok()).count();
    assert_eq!(accepted, BOUND);
}

#[actix::test]
async fn a_send_whose_future_is_dropped_is_skipped_but_a_tell_is_not() {
    let address = Fragile::default().start();
    drop(address.send(Add));
    assert_eq!(address.send(Add).await, Ok(1));

    let handle = start_here(Fragile::default(), 4, RestartPolicy::default());
    handle.tell(Add).unwrap();
    handle.ask(Add).now_or_never();
    assert_eq!(handle.ask(Add).await, Ok(3));
}

#[derive(Message)]
#[rtype("()")]
struct CountPolls(Arc<AtomicUsize>);

impl Handler<CountPolls> for Fragile {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, CountPolls(polls): CountPolls, _: &mut Self::Context) -> Self::Result {
        let never = poll_fn(move |_| {
            polls.fetch_add(1, Ordering::Relaxed);
            Poll::Pending
        });
        Box::pin(never.into_actor(self))
    }
}

#[actix::test]
async fn every_wake_up_polls_all_actor_futures_and_a_restart_drops_them() {
    pause();
    let polls = Arc::new(AtomicUsize::new(0));
    let actor = start_here(Fragile::default(), 200, RestartPolicy::default());
    let asked: Vec<_> = (0..100).map(|_| actor.ask(CountPolls(Arc::clone(&polls)))).collect();
    let others = async {
        let_it_happen().await;
        let before = polls.load(Ordering::Relaxed);
        actor.ask(Add).await.unwrap();
        assert!(polls.load(Ordering::Relaxed) >= before + 100);
        actor.ask(Crash).await.unwrap_err();
    };
    let (answers, ()) = futures_util::join!(futures_util::future::join_all(asked), others);
    assert!(answers.iter().all(|answer| *answer == Err(AskError::Closed)));
}

/// Arms one timer when it starts. `Disarm` cancels it and panics.
struct Ticker {
    timer: SpawnHandle,
    ticks: Arc<AtomicUsize>,
}

#[derive(Message)]
#[rtype("()")]
struct Disarm;

impl Actor for Ticker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.timer = ctx.run_interval(Duration::from_secs(1), |ticker, _| {
            ticker.ticks.fetch_add(1, Ordering::Relaxed);
        });
    }
}

impl Supervised for Ticker {}

impl Handler<Disarm> for Ticker {
    type Result = ();

    fn handle(&mut self, _: Disarm, ctx: &mut Self::Context) {
        ctx.cancel_future(self.timer);
        panic!("panic after a cancellation");
    }
}

crate::crashable!(Ticker);

async fn ticks_after<M>(message: M) -> usize
where
    Ticker: Handler<M>,
    M: Message<Result = ()> + Send + 'static,
{
    let supervision = super::tests::supervision(RestartPolicy::default(), &Diary::default());
    let ticks = Arc::default();
    let ticker = Ticker { timer: SpawnHandle::default(), ticks: Arc::clone(&ticks) };
    let ticker = super::start(&Arbiter::current(), "ticker", 4, &supervision, |_| ticker);
    ticker.ask(message).await.unwrap_err();
    ticks.store(0, Ordering::Relaxed);
    let_it_happen().await;
    ticks.load(Ordering::Relaxed)
}

#[actix::test]
async fn a_cancellation_in_the_poll_that_panics_hits_the_timer_armed_anew() {
    pause();
    assert_eq!(ticks_after(Crash).await, 9, "a timer armed in started ticks again after a restart");
    assert_eq!(ticks_after(Disarm).await, 0);
}

#[derive(Default)]
struct Service;

impl Actor for Service {
    type Context = Context<Self>;
}

impl Supervised for Service {}

impl SystemService for Service {}

crate::crashable!(Service);

#[actix::test]
async fn a_system_service_dies_for_good() {
    assert_eq!(Service::from_registry().send(Crash).await, Err(MailboxError::Closed));
    assert!(!Service::from_registry().connected());
}

struct Worker;

impl Actor for Worker {
    type Context = SyncContext<Self>;
}

crate::crashable!(Worker);

#[derive(Message)]
#[rtype(bool)]
struct StillThere;

impl Handler<StillThere> for Worker {
    type Result = bool;

    fn handle(&mut self, _: StillThere, _: &mut Self::Context) -> bool {
        true
    }
}

#[actix::test]
async fn threads_of_a_sync_arbiter_are_never_respawned() {
    let built = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&built);
    let pool = SyncArbiter::start(2, move || {
        count.fetch_add(1, Ordering::Relaxed);
        Worker
    });
    assert_eq!(pool.send(Crash).await, Err(MailboxError::Closed));
    assert_eq!(pool.send(StillThere).await, Ok(true), "one thread is left");
    assert_eq!(pool.send(Crash).await, Err(MailboxError::Closed));
    // With the last thread its queue goes, and the next message kills the arbiter.
    assert_eq!(pool.send(StillThere).await, Err(MailboxError::Closed));
    assert_eq!(built.load(Ordering::Relaxed), 2);
}
