use std::time::Duration;

use futures_util::join;
use tokio::sync::oneshot;
use tokio::time::{Instant, pause, sleep};

use super::*;
use crate::runtime::{AskError, DrainReport, InFlight};

const LIMIT: Duration = Duration::from_secs(5);

#[actix::test]
async fn drain_comes_behind_all_that_was_accepted_and_needs_no_permit() {
    let diary = Diary::default();
    let actor = start_here(Fragile { diary: diary.clone(), ..Fragile::default() }, 2, RestartPolicy::default());
    actor.tell(Add).unwrap();
    actor.tell(Add).unwrap();
    // Mutant: a Drain that asks for a permit is refused here.
    let (drained, late) = join!(actor.drain(LIMIT), actor.ask(Add));
    assert_eq!((drained, late), (Ok(()), Err(AskError::Closed)));
    assert_eq!(diary.events(), [Event::Started, Event::Added, Event::Added, Event::Drained]);
}

#[actix::test]
async fn a_drain_waits_for_a_restart_but_not_for_ever() {
    pause();
    let actor = start_here(Fragile::default(), 2, RestartPolicy::default());
    actor.tell(Crash).unwrap();
    assert_eq!(actor.drain(LIMIT).await, Ok(()));

    let slow = RestartPolicy { backoff_first: LIMIT * 2, backoff_max: LIMIT * 2, ..RestartPolicy::default() };
    let actor = start_here(Fragile::default(), 2, slow);
    actor.tell(Crash).unwrap();
    let begun = Instant::now();
    assert_eq!(actor.drain(LIMIT).await, Err(AskError::Timeout));
    assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_all_and_counts_them() {
    let in_flight = InFlight::default();
    let streaming = in_flight.token();
    for seconds in [1, 2, 3] {
        in_flight.spawn(sleep(Duration::from_secs(seconds)));
    }
    let late = in_flight.clone();
    in_flight.spawn(async move {
        late.spawn(sleep(LIMIT / 2));
        drop(streaming);
        panic!("a panic ends a task, too");
    });
    assert_eq!(in_flight.count(), 5);
    let begun = Instant::now();
    assert_eq!(in_flight.drain(LIMIT).await, DrainReport { finished: 6, abandoned: 0 });
    assert_eq!((begun.elapsed().as_secs(), in_flight.count()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_abandons_what_outlasts_its_limit() {
    let in_flight = InFlight::default();
    in_flight.spawn(sleep(Duration::from_secs(1)));
    in_flight.spawn(sleep(LIMIT * 2));
    let (never, forever) = oneshot::channel::<()>();
    in_flight.spawn(forever);
    let begun = Instant::now();
    assert_eq!(in_flight.drain(LIMIT).await, DrainReport { finished: 1, abandoned: 2 });
    assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
    drop(never);
}

#[tokio::test(start_paused = true)]
async fn an_idle_drain_ends_at_once() {
    let begun = Instant::now();
    assert_eq!(InFlight::default().drain(LIMIT).await, DrainReport { finished: 0, abandoned: 0 });
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
