//! What reaches the table, what comes back, and what a crash loses.

use super::*;
use std::collections::HashSet;

fn per_minute(requests_per_minute: i64) -> Caller {
    limited(RateLimits { requests_per_minute, ..WIDE })
}

fn pair() -> (Bench, Bench) {
    let (tables, clock) = (Arc::default(), Arc::default());
    (Bench::with(&tables, &clock, WIDE_OPTIONS), Bench::with(&tables, &clock, WIDE_OPTIONS))
}

#[actix_rt::test]
async fn a_new_run_goes_on_where_the_last_one_stopped() {
    let (before, after) = pair();
    let caller = per_minute(100);
    assert_eq!(before.admitted(&caller, 70, 1).await, 70);
    before.limiter.drain(Duration::from_secs(1)).await.unwrap();
    // Mutant: a drain that does not flush turns this red.
    assert_eq!(after.admitted(&caller, 100, 1).await, 30);
}

#[actix_rt::test]
async fn two_replicas_converge_with_the_next_flush() {
    let (one, two) = pair();
    let caller = per_minute(100);
    assert_eq!((one.admitted(&caller, 40, 1).await, two.admitted(&caller, 40, 1).await), (40, 40));
    one.limiter.flush().await.unwrap();
    two.limiter.flush().await.unwrap();
    one.limiter.flush().await.unwrap();
    assert_eq!(two.admitted(&caller, 100, 1).await, 20, "two knows of both");
    two.limiter.flush().await.unwrap();
    // One has heard nothing since; after two seconds it reads before it believes.
    one.clock.advance(TimeDelta::milliseconds(2_001));
    assert_eq!(one.admitted(&caller, 100, 1).await, 0);
}

#[actix_rt::test]
async fn a_batch_whose_answer_is_lost_counts_once() {
    let bench = wide_bench();
    let caller = per_minute(100);
    assert_eq!(bench.admitted(&caller, 10, 7).await, 10);
    bench.tables.loses_answers.store(true, Ordering::SeqCst);
    assert!(bench.limiter.flush().await.is_err());
    assert_eq!(bench.admitted(&caller, 5, 7).await, 5);
    bench.tables.loses_answers.store(false, Ordering::SeqCst);
    bench.limiter.flush().await.unwrap();
    bench.limiter.flush().await.unwrap();
    let total = bench.tables.totals(std::iter::once(Subject::Key(caller.key)))[0];
    // Mutant: a batch that is filled anew for each try turns this red.
    assert_eq!(total.windows.map(|window| (window.requests, window.tokens)), [(15, 105); 4]);
    assert_eq!(bench.limiter.usage(caller.user, caller.key).await.unwrap().minute, Use { requests: 15, tokens: 105 });
}

#[actix_rt::test]
async fn a_table_that_is_away_stops_nobody_and_nothing_is_lost() {
    let bench = wide_bench();
    let caller = per_minute(100);
    bench.tables.is_away.store(true, Ordering::SeqCst);
    assert_eq!(bench.admitted(&caller, 60, 1).await, 60);
    assert!(bench.limiter.flush().await.is_err());
    bench.tables.is_away.store(false, Ordering::SeqCst);
    bench.limiter.flush().await.unwrap();
    assert_eq!(bench.tables.totals(std::iter::once(Subject::User(caller.user)))[0].windows[0].requests, 60);
    assert_eq!(bench.admitted(&caller, 100, 1).await, 40);
}

#[actix_rt::test]
async fn a_thousand_first_calls_of_a_key_read_the_table_once() {
    let bench = wide_bench();
    let caller = per_minute(10_000);
    let calls = (0..1_000).map(|_| bench.limiter.admit(&caller, 1));
    let admitted = futures_util::future::join_all(calls).await;
    assert!(admitted.iter().all(Result::is_ok));
    assert_eq!(bench.tables.readings.load(Ordering::SeqCst), 1);
}

#[actix_rt::test]
async fn a_panic_of_the_actor_costs_no_call_and_no_count() {
    let bench = wide_bench();
    let caller = per_minute(100);
    let mut admitted = bench.admitted(&caller, 50, 1).await;
    for key in 2..=5 {
        bench.limiter.crash().await;
        // A key that nobody has seen must be read by the actor, which rests at most some milliseconds.
        let other = with_key(key, per_minute(100));
        assert_eq!(bench.admitted(&other, 1, 1).await, 1);
        admitted += bench.admitted(&caller, 10, 1).await;
    }
    assert_eq!(admitted + bench.admitted(&caller, 100, 1).await, 100);
    bench.limiter.flush().await.unwrap();
    assert_eq!(bench.tables.totals(std::iter::once(Subject::Key(caller.key)))[0].windows[0].requests, 100);
}

#[actix_rt::test]
async fn keys_that_rest_are_forgotten_once_they_are_written_and_read_again() {
    let bench = wide_bench();
    let accounts = &bench.limiter.shared.accounts;
    let now_ms = || bench.clock.now().timestamp_millis();
    let idle = with_user(2, per_minute(100));
    let busy = with_user(3, per_minute(100));
    assert_eq!(bench.admitted(&idle, 10, 1).await, 10);
    let under_way = bench.limiter.admit(&busy, 1).await.unwrap();
    bench.clock.advance(TimeDelta::minutes(3));
    assert_eq!(accounts.forget_idle(now_ms()), 2, "what is not written stays");
    bench.limiter.flush().await.unwrap();
    assert_eq!(accounts.forget_idle(now_ms()), 1, "a call under way stays");
    assert_eq!(bench.limiter.usage(idle.user, idle.key).await.unwrap().hour.requests, 10);
    drop(under_way);
    let subjects: HashSet<_> = bench.tables.rows.lock().unwrap().keys().copied().collect();
    assert_eq!(subjects.len(), 4);
}

#[actix_rt::test]
async fn others_are_seen_also_while_nobody_calls() {
    let (one, two) = pair();
    for _ in 0..=3 {
        one.limiter.flush().await.unwrap();
        two.limiter.flush().await.unwrap();
    }
    for _ in 0..=3 {
        one.limiter.flush().await.unwrap();
    }
    assert!(one.limiter.shared.has_others.load(Ordering::SeqCst) && two.limiter.shared.has_others.load(Ordering::SeqCst));
}
