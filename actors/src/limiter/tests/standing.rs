//! What a caller is told to have left, and to be refused for.

use super::*;

/// Of the requests: the limit of the tightest window, and what is left of it.
async fn requests(bench: &Bench, caller: &Caller) -> (i64, i64) {
    let Standing { requests, .. } = bench.limiter.standing(caller).await.unwrap();
    (requests.limit, requests.remaining)
}

fn bench_with(defaults: RateLimits) -> Bench {
    Bench::with(&Arc::default(), &Arc::default(), LimiterOptions { defaults, plans_limit: true, ..WIDE_OPTIONS })
}

#[actix_rt::test]
async fn of_all_windows_that_bind_a_call_the_one_with_the_least_left_is_shown() {
    let bench = bench_with(RateLimits { requests_per_minute: 60, ..WIDE });
    let limits = RateLimits { requests_per_minute: 50, ..WIDE };
    let (caller, of_other_key) = (limited(limits), with_key(2, limited(limits)));
    assert_eq!(requests(&bench, &caller).await, (50, 50), "the key's");
    assert_eq!(bench.admitted(&of_other_key, 30, 1).await, 30);
    // Mutant: without the user's windows this is (50, 50).
    assert_eq!(requests(&bench, &caller).await, (60, 30), "the user's, over all keys");
    bench.clock.advance(TimeDelta::minutes(1));
    assert_eq!(bench.admitted(&of_other_key, 50, 1).await, 50);
    bench.clock.advance(TimeDelta::minutes(1));
    // Without a plan: 100 requests a day, and 10,000 tokens.
    // Mutant: without the plan's windows this is (50, 50).
    assert_eq!(requests(&bench, &caller).await, (100, 20), "the plan's");
    let tokens = bench.limiter.standing(&caller).await.unwrap().tokens;
    assert_eq!((tokens.limit, tokens.remaining), (10_000, 9_920));
}

#[actix_rt::test]
async fn a_plan_that_binds_nobody_is_not_shown() {
    let caller = limited(WIDE);
    assert_eq!(requests(&wide_bench(), &caller).await, (WIDE.requests_per_minute, WIDE.requests_per_minute));
}

#[actix_rt::test]
async fn of_two_windows_that_are_even_the_one_that_ends_last_is_shown() {
    let bench = bench_with(WIDE);
    let caller = limited(WIDE);
    // From the 15th of January 2027: 100 a day, 1,000 a month.
    for _ in 0..10 {
        bench.clock.advance(TimeDelta::days(1));
        assert_eq!(bench.admitted(&caller, 100, 1).await, 100);
    }
    let left = bench.limiter.standing(&caller).await.unwrap().requests;
    let february = "2027-02-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap().timestamp();
    // Mutant: with the one that ends first this is the day.
    assert_eq!(left, Left { limit: 1_000, remaining: 0, reset_s: february });
}

#[actix_rt::test]
async fn whoever_asks_is_told_what_a_call_would_be_told_and_nothing_is_counted() {
    let bench = bench_with(RateLimits { requests_per_minute: 3, ..WIDE });
    let limits = RateLimits { requests_per_minute: 2, concurrency: 1, ..WIDE };
    let (caller, of_other_key) = (limited(limits), with_key(2, limited(limits)));
    for _ in 0..5 {
        assert_eq!(bench.limiter.would_refuse(&caller).await, None);
    }
    let permit = bench.limiter.admit(&caller, 1).await.unwrap();
    let told = bench.limiter.admit(&caller, 1).await.err();
    assert_eq!((told, bench.limiter.would_refuse(&caller).await), (Some(Refusal::Concurrency { limit: 1 }), told));
    keep(permit);
    assert_eq!(bench.admitted(&caller, 2, 1).await, 1);
    assert_eq!(bench.admitted(&of_other_key, 2, 1).await, 1);
    for (caller, whose) in [(&caller, Scope::Key), (&of_other_key, Scope::User)] {
        let told = bench.limiter.admit(caller, 1).await.err();
        assert!(matches!(told, Some(Refusal::Window { scope, .. }) if scope == whose), "{told:?}");
        assert_eq!(bench.limiter.would_refuse(caller).await, told);
    }
}
