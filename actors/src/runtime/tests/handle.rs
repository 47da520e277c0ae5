use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::{FutureExt, join};
use tokio::sync::Notify;
use tokio::time::{Instant, pause, sleep};

use super::*;
use crate::runtime::AskError;

fn fragile(capacity: usize) -> Handle<Fragile> {
    start_here(Fragile::default(), capacity, RestartPolicy::default())
}

#[actix::test]
async fn the_bound_refuses_whoever_comes_and_opens_again() {
    let actor = fragile(2);
    let clone = actor.clone();
    let (first, second, third) = join!(actor.ask(Add), clone.ask(Add), actor.ask(Add));
    // Mutant: an Addr in the handle's place answers all three.
    assert_eq!((first, second, third), (Ok(1), Ok(2), Err(AskError::Overloaded)));
    assert_eq!(clone.ask(Add).await, Ok(3));
    assert_eq!((clone.queued(), clone.name()), (0, "fragile"));
}

#[actix::test]
async fn a_told_message_is_handled_although_its_sender_is_gone() {
    let actor = fragile(4);
    let sender = async {
        actor.tell(Add).unwrap();
        std::future::pending::<()>().await;
    };
    assert_eq!(sender.now_or_never(), None);
    assert_eq!(actor.ask(Add).await, Ok(2));
}

#[actix::test]
async fn an_asker_who_leaves_does_not_make_room_before_the_actor_is_done() {
    pause();
    let actor = fragile(1);
    for _ in 0..10 {
        actor.ask(Add).now_or_never();
    }
    assert_eq!((actor.queued(), actor.tell(Add)), (1, Err(AskError::Overloaded)));
    let_it_happen().await;
    assert_eq!((actor.queued(), actor.ask(Add).await), (0, Ok(2)));
}

#[actix::test]
async fn work_that_outlives_its_handler_holds_its_permit() {
    pause();
    let actor = fragile(2);
    let gate = Arc::new(Notify::new());
    actor.tell(WaitFor(Arc::clone(&gate))).unwrap();
    let answer = actor.ask(WaitFor(Arc::clone(&gate)));
    let busy = async {
        let_it_happen().await;
        assert_eq!((actor.queued(), actor.ask(Add).await), (2, Err(AskError::Overloaded)));
        gate.notify_waiters();
    };
    assert_eq!(join!(answer, busy).0, Ok(()));
    let_it_happen().await;
    assert_eq!((actor.queued(), actor.ask(Add).await), (0, Ok(1)));
}

#[actix::test]
async fn a_slow_answer_times_out_and_is_still_worked_on() {
    pause();
    let actor = fragile(2);
    let gate = Arc::new(Notify::new());
    let asked = Instant::now();
    let answer = actor.ask_within(WaitFor(Arc::clone(&gate)), Duration::from_secs(2)).await;
    assert_eq!((answer, asked.elapsed().as_secs()), (Err(AskError::Timeout), 2));
    assert_eq!(actor.queued(), 1);
    gate.notify_waiters();
    let_it_happen().await;
    assert_eq!(actor.queued(), 0);
    assert_eq!(actor.ask_within(Add, Duration::from_secs(2)).await, Ok(1));
}

#[actix::test]
async fn a_closed_handle_refuses_new_messages_and_answers_old_ones() {
    let actor = fragile(2);
    let (old, new) = join!(actor.ask(Add), async {
        actor.close();
        actor.ask(Add).await
    });
    assert_eq!((old, new), (Ok(1), Err(AskError::Closed)));
}

#[actix::test]
async fn the_actor_ends_with_its_last_handle() {
    pause();
    let diary = Diary::default();
    let actor = start_here(Fragile { diary: diary.clone(), ..Fragile::default() }, 2, RestartPolicy::default());
    let clone = actor.clone();
    actor.ask(Add).await.unwrap();
    drop(actor);
    assert_eq!(clone.ask(Add).await, Ok(2));
    drop(clone);
    let_it_happen().await;
    assert_eq!(diary.events().last(), Some(&Event::Stopped));
}

#[actix::test]
async fn an_actor_on_a_stopped_arbiter_is_closed() {
    let arbiter = Arbiter::new();
    let gone = arbiter.handle();
    arbiter.stop();
    arbiter.join().unwrap();
    let actor = start(&gone, "fragile", 2, &supervision(RestartPolicy::default(), &Diary::default()), |_| Fragile::default());
    assert_eq!((actor.ask(Add).await, actor.tell(Add)), (Err(AskError::Closed), Err(AskError::Closed)));
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum SqrtError {
    #[error("negative")]
    Negative,
    #[error(transparent)]
    Ask(#[from] AskError),
}

#[derive(Message)]
#[rtype(result = "Result<f64, SqrtError>")]
struct Sqrt(f64);

impl Handler<Sqrt> for Fragile {
    type Result = Result<f64, SqrtError>;

    fn handle(&mut self, Sqrt(x): Sqrt, _: &mut Self::Context) -> Self::Result {
        if x < 0.0 { Err(SqrtError::Negative) } else { Ok(x.sqrt()) }
    }
}

#[actix::test]
async fn ask_flat_gives_one_result() {
    let actor = fragile(1);
    assert_eq!(actor.ask_flat(Sqrt(4.0)).await, Ok(2.0));
    assert_eq!(actor.ask_flat(Sqrt(-4.0)).await, Err(SqrtError::Negative));
    actor.close();
    assert_eq!(actor.ask_flat(Sqrt(4.0)).await, Err(SqrtError::Ask(AskError::Closed)));
}

#[actix::test]
async fn from_many_threads_the_bound_holds_and_no_permit_is_lost() {
    const CAPACITY: usize = 8;
    let arbiter = Arbiter::new();
    let supervision = supervision(RestartPolicy::default(), &Diary::default());
    let actor = start(&arbiter.handle(), "fragile", CAPACITY, &supervision, |_| Fragile::default());
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let actor = actor.clone();
            std::thread::spawn(move || {
                let accepted = |attempt: u32| match (attempt + thread) % 2 {
                    0 => actor.tell(Add).is_ok(),
                    // Asked and left at once; a refusal comes at once, too.
                    _ => actor.ask(Add).now_or_never().is_none_or(|answer| answer.is_ok()),
                };
                (0..5_000).filter(|attempt| accepted(*attempt)).count()
            })
        })
        .collect();
    while !threads.iter().all(|thread| thread.is_finished()) {
        assert!(actor.queued() <= CAPACITY);
        sleep(Duration::from_millis(1)).await;
    }
    let accepted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    while actor.queued() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let handled = usize::try_from(actor.ask(Add).await.unwrap()).unwrap() - 1;
    assert_eq!(handled, accepted, "an accepted message was skipped, or a refused one handled");
    arbiter.stop();
    arbiter.join().unwrap();
}
