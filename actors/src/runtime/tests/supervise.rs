use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;
use futures_util::join;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::time::{Instant, pause, sleep};

use super::super::supervise::RestartBudget;
use super::*;
use crate::runtime::AskError;

const DEFAULT: RestartPolicy = RestartPolicy {
    max_restarts: 10,
    within: Duration::from_secs(60),
    backoff_first: Duration::from_millis(10),
    backoff_max: Duration::from_secs(1),
};

#[test]
fn the_default_policy_is_ten_restarts_a_minute() {
    assert_eq!(RestartPolicy::default(), DEFAULT);
}

#[actix::test]
async fn a_panic_fails_its_own_message_only_and_the_state_is_rebuilt() {
    pause();
    let actor = start_here(Fragile::default(), 8, DEFAULT);
    let (before, crash, behind, last) = join!(actor.ask(Add), actor.ask(Crash), actor.ask(Add), actor.ask(Add));
    assert_eq!((before, crash), (Ok(1), Err(AskError::Closed)));
    // The messages behind were queued when the actor panicked; 100 is what `restarting` reads back.
    assert_eq!((behind, last), (Ok(101), Ok(102)));
    assert_eq!(actor.queued(), 0);
}

#[actix::test]
async fn started_runs_again_after_restarting_and_no_other_hook_does() {
    pause();
    let diary = Diary::default();
    let actor = start_here(Fragile { diary: diary.clone(), ..Fragile::default() }, 8, DEFAULT);
    assert_eq!(actor.ask(Crash).await, Err(AskError::Closed));
    assert_eq!(actor.ask(Add).await, Ok(101));
    assert_eq!(diary.events(), [Event::Started, Event::Restarting, Event::Started, Event::Added]);
}

#[actix::test]
async fn a_lone_panic_costs_ten_milliseconds() {
    pause();
    let actor = start_here(Fragile::default(), 8, DEFAULT);
    let crashed = Instant::now();
    actor.ask(Crash).await.unwrap_err();
    actor.ask(Add).await.unwrap();
    let away = crashed.elapsed();
    assert!((Duration::from_millis(10)..Duration::from_millis(13)).contains(&away), "away for {away:?}");
}

#[actix::test]
async fn the_backoff_doubles_up_to_its_maximum() {
    pause();
    let diary = Diary::default();
    let actor = start_here(Fragile { diary: diary.clone(), ..Fragile::default() }, 16, DEFAULT);
    for _ in 0..10 {
        actor.tell(Crash).unwrap();
    }
    let begun = Instant::now();
    let_it_happen().await;
    let mut previous = begun;
    // Mutant: a constant back-off turns this red.
    for (restart, expected_ms) in
        diary.times_of(Event::Restarting).into_iter().zip([10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000])
    {
        let rest = restart.duration_since(previous);
        let expected = Duration::from_millis(expected_ms);
        // The timer rounds up to the next millisecond.
        assert!((expected..expected + Duration::from_millis(3)).contains(&rest), "{rest:?} instead of {expected:?}");
        previous = restart;
    }
    assert_eq!(diary.times_of(Event::Restarting).len(), 10);
    assert_eq!(actor.ask(Add).await, Ok(101));
}

#[actix::test]
async fn a_spent_budget_gives_up_exactly_once() {
    pause();
    let diary = Diary::default();
    let policy = RestartPolicy { max_restarts: 3, ..DEFAULT };
    let actor = start_here(Fragile { diary: diary.clone(), ..Fragile::default() }, 16, policy);
    for _ in 0..3 {
        actor.ask(Crash).await.unwrap_err();
    }
    assert_eq!(actor.ask(Add).await, Ok(101));
    assert_eq!(diary.times_of(Event::GivenUp).len(), 0);
    // Mutant: `spent > max_restarts` turns this red.
    let (crash, behind) = join!(actor.ask(Crash), actor.ask(Add));
    assert_eq!((crash, behind), (Err(AskError::Closed), Err(AskError::Closed)));
    let_it_happen().await;
    assert_eq!(diary.times_of(Event::GivenUp).len(), 1);
    assert_eq!(actor.ask(Add).await, Err(AskError::Closed));
    assert_eq!(actor.tell(Add), Err(AskError::Closed));
    let hooks = diary.events().into_iter().filter(|event| matches!(event, Event::Stopping | Event::Stopped)).count();
    assert_eq!(hooks, 0, "hooks ran on the state that the panic left behind");
}

#[actix::test]
async fn panics_that_are_far_apart_never_spend_the_budget() {
    pause();
    let diary = Diary::default();
    let policy = RestartPolicy { max_restarts: 1, ..DEFAULT };
    let actor = start_here(Fragile { diary: diary.clone(), ..Fragile::default() }, 4, policy);
    for _ in 0..20 {
        actor.ask(Crash).await.unwrap_err();
        sleep(Duration::from_secs(61)).await;
    }
    assert_eq!(actor.ask(Add).await, Ok(101));
    assert_eq!(diary.times_of(Event::Restarting).len(), 20);
    assert_eq!(diary.times_of(Event::GivenUp).len(), 0);
}

#[test]
fn the_window_slides_and_huge_counts_do_not_overflow() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut budget = RestartBudget::new(RestartPolicy { max_restarts: 2, ..DEFAULT });
    assert_eq!(budget.spend(at(0)), Some(Duration::from_millis(10)));
    assert_eq!(budget.spend(at(30)), Some(Duration::from_millis(20)));
    assert_eq!(budget.spend(at(59)), None);
    // The first has left the window, the second has not.
    assert_eq!(budget.spend(at(60)), Some(Duration::from_millis(20)));
    assert_eq!(budget.spend(at(89)), None);

    let mut generous = RestartBudget::new(RestartPolicy { max_restarts: 100, ..DEFAULT });
    let rests: Vec<_> = (0..100).map_while(|_| generous.spend(at(0))).collect();
    assert_eq!((rests.len(), rests[99]), (100, Duration::from_secs(1)));
}

#[actix::test]
async fn a_panic_in_restarting_is_one_more_failed_restart() {
    pause();
    let diary = Diary::default();
    let actor = start_here(Fragile { diary: diary.clone(), panics_in_restarting: 2, ..Fragile::default() }, 4, DEFAULT);
    let (crash, behind) = join!(actor.ask(Crash), actor.ask(Add));
    assert_eq!((crash, behind), (Err(AskError::Closed), Ok(101)));

    let hopeless = Fragile { diary: diary.clone(), panics_in_restarting: u32::MAX, ..Fragile::default() };
    let hopeless = start_here(hopeless, 4, DEFAULT);
    assert_eq!(hopeless.ask(Crash).await, Err(AskError::Closed));
    let_it_happen().await;
    assert_eq!(hopeless.ask(Add).await, Err(AskError::Closed));
    assert_eq!(diary.times_of(Event::GivenUp).len(), 1);
}

#[actix::test]
async fn an_actor_that_cannot_be_built_is_given_up() {
    let diary = Diary::default();
    let supervision = supervision(DEFAULT, &diary);
    let actor = start::<Fragile>(&Arbiter::current(), "fragile", 4, &supervision, |_| panic!("no database"));
    assert_eq!(actor.ask(Add).await, Err(AskError::Closed));
    assert_eq!(diary.events(), [Event::GivenUp]);
}

#[actix::test]
async fn messages_of_a_dropped_handle_survive_a_panic() {
    pause();
    let diary = Diary::default();
    let actor = start_here(Fragile { diary: diary.clone(), ..Fragile::default() }, 4, DEFAULT);
    actor.tell(Crash).unwrap();
    actor.tell(Add).unwrap();
    drop(actor);
    let_it_happen().await;
    use Event::{Added, Restarting, Started, Stopped, Stopping};
    assert_eq!(diary.events(), [Started, Restarting, Started, Added, Stopping, Stopped]);
}

#[actix::test]
async fn an_actor_that_stops_itself_stays_stopped() {
    pause();
    let diary = Diary::default();
    let actor = start_here(Fragile { diary: diary.clone(), ..Fragile::default() }, 4, DEFAULT);
    let (stop, behind) = join!(actor.ask(Stop), actor.ask(Add));
    assert_eq!((stop, behind), (Ok(()), Err(AskError::Closed)));
    let_it_happen().await;
    assert_eq!(diary.events(), [Event::Started, Event::Stopping, Event::Stopped]);
}

#[actix::test]
async fn hooks_do_not_run_on_a_broken_state() {
    let diary = Diary::default();
    let arbiter = Arbiter::new();
    let endless = RestartPolicy { backoff_first: Duration::from_secs(3600), backoff_max: Duration::from_secs(3600), ..DEFAULT };
    let fragile = Fragile { diary: diary.clone(), ..Fragile::default() };
    let actor = start(&arbiter.handle(), "fragile", 4, &supervision(endless, &diary), |_| fragile);
    actor.ask(Crash).await.unwrap_err();
    arbiter.stop();
    arbiter.join().unwrap();
    assert_eq!(diary.events(), [Event::Started]);
}

#[actix::test]
async fn restarts_and_lost_messages_are_counted_by_actor() {
    pause();
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let actor = start_here(Fragile::default(), 1, DEFAULT);
    actor.tell(Crash).unwrap();
    assert_eq!(actor.tell(Add), Err(AskError::Overloaded));
    let_it_happen().await;
    let exposed = metrics.render();
    for line in [
        r#"tollgate_actor_restarts_total{actor="fragile"} 1"#,
        r#"tollgate_actor_lost_total{actor="fragile"} 1"#,
        r#"tollgate_actor_refused_total{actor="fragile"} 1"#,
    ] {
        assert!(exposed.lines().any(|exposed| exposed == line), "{line} is not in\n{exposed}");
    }
}

/// P8 in small: several threads ask without a pause while the actor crashes again and again; only the crashes fail.
#[actix::test]
async fn under_load_only_the_crashes_fail() {
    const CRASHES: usize = 5;
    let arbiter = Arbiter::new();
    let diary = Diary::default();
    let policy = RestartPolicy { backoff_first: Duration::from_millis(1), ..DEFAULT };
    let fragile = Fragile { diary: diary.clone(), ..Fragile::default() };
    let actor = start(&arbiter.handle(), "fragile", 64, &supervision(policy, &diary), |_| fragile);
    let crashing = Arc::new(AtomicBool::new(true));
    let askers: Vec<_> = (0..4)
        .map(|_| {
            let (actor, crashing) = (actor.clone(), Arc::clone(&crashing));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                while crashing.load(Ordering::Relaxed) {
                    runtime.block_on(actor.ask(Add)).unwrap();
                }
            })
        })
        .collect();
    for _ in 0..CRASHES {
        assert_eq!(actor.ask(Crash).await, Err(AskError::Closed));
        actor.ask(Add).await.unwrap();
    }
    crashing.store(false, Ordering::Relaxed);
    for asker in askers {
        tokio::task::spawn_blocking(move || asker.join().unwrap()).await.unwrap();
    }
    assert_eq!((actor.queued(), diary.times_of(Event::Restarting).len()), (0, CRASHES));
    arbiter.stop();
    arbiter.join().unwrap();
}
