use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::runtime::{Arbiters, AskError};

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn arbiters_need_a_system() {
    assert!(Arbiters::start().is_err());
}

#[actix::test]
async fn the_two_arbiters_are_two_threads_and_both_end() {
    let arbiters = Arbiters::start().unwrap();
    let (tell, told) = mpsc::channel();
    for arbiter in [&arbiters.hot, &arbiters.slow] {
        let tell = tell.clone();
        arbiter.spawn_fn(move || tell.send(thread::current().id()).unwrap());
    }
    let (one, other) = (told.recv_timeout(LIMIT).unwrap(), told.recv_timeout(LIMIT).unwrap());
    assert!(one != other && one != thread::current().id() && other != thread::current().id());

    let (hot, slow) = (arbiters.hot.clone(), arbiters.slow.clone());
    assert!(arbiters.stop(LIMIT).await);
    assert!(!hot.alive() && !slow.alive());
}

#[actix::test]
async fn an_actor_ends_with_its_arbiter_and_its_hooks_run() {
    let arbiters = Arbiters::start().unwrap();
    let diary = Diary::default();
    let fragile = Fragile { diary: diary.clone(), ..Fragile::default() };
    let actor = start(&arbiters.hot, "fragile", 4, &supervision(RestartPolicy::default(), &diary), |_| fragile);
    assert_eq!(actor.ask(Add).await, Ok(1));
    assert!(arbiters.stop(LIMIT).await);
    assert_eq!(diary.events(), [Event::Started, Event::Added, Event::Stopping, Event::Stopped]);
    assert_eq!((actor.ask(Add).await, actor.tell(Add)), (Err(AskError::Closed), Err(AskError::Closed)));
}

#[actix::test]
async fn a_stuck_actor_does_not_hold_up_the_end() {
    let arbiters = Arbiters::start().unwrap();
    let (release, stuck) = mpsc::channel::<()>();
    let running = Arc::new(Notify::new());
    let runs = Arc::clone(&running);
    arbiters.slow.spawn_fn(move || {
        runs.notify_one();
        stuck.recv().unwrap_err();
    });
    running.notified().await;
    assert!(!arbiters.stop(Duration::from_millis(20)).await);
    drop(release);
}
