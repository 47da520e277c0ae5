//! What is let through, what is refused, and what is counted for it.

use super::*;
use crate::identity::TrialRefusal;
use crate::identity::keys::Environment;
use crate::identity::tests::caller_on_trial;
use std::net::Ipv4Addr;

async fn refusal(bench: &Bench, caller: &Caller, tokens: i64) -> Refusal {
    bench.limiter.admit(caller, tokens).await.err().expect("a refusal")
}

#[actix_rt::test]
async fn a_limit_of_100_admits_exactly_100_of_1000_concurrent_requests() {
    let bench = wide_bench();
    let caller = Arc::new(limited(RateLimits { requests_per_minute: 100, ..WIDE }));
    // From eight threads at once.
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(8).build().unwrap();
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let (limiter, caller) = (bench.limiter.clone(), Arc::clone(&caller));
            threads.spawn(async move { limiter.admit(&caller, 1).await.map(keep).is_ok() })
        })
        .collect();
    let mut admitted = 0;
    for call in calls {
        admitted += usize::from(call.await.unwrap());
    }
    threads.shutdown_background();
    // Mutant: `<=` for `<` in `Measure::fits` turns this red.
    assert_eq!(admitted, 100);
    let usage = bench.limiter.usage(caller.user, caller.key).await.unwrap();
    assert_eq!((usage.minute.requests, usage.day.requests, usage.under_way), (100, 100, 0), "a refusal counts nothing");
}

#[actix_rt::test]
async fn each_window_begins_anew_at_its_utc_border_and_says_when() {
    let bench = wide_bench();
    // Noon is 1,800,000,000: 08:00:00 UTC. Half a minute on, so that no window has just begun.
    bench.clock.advance(TimeDelta::seconds(30));
    let limits = RateLimits { requests_per_minute: 2, requests_per_hour: 3, requests_per_day: 4, ..WIDE };
    let caller = limited(limits);
    assert_eq!(bench.admitted(&caller, 5, 1).await, 2);
    let minute = refusal(&bench, &caller, 1).await;
    assert_eq!(minute.to_string(), "Rate limit exceeded: Minute request limit exceeded");
    assert_eq!((minute.retry_after(), minute.is_curable()), (Some(Duration::from_secs(30)), true));
    bench.clock.advance(TimeDelta::milliseconds(29_999));
    assert_eq!(bench.admitted(&caller, 1, 1).await, 0);
    bench.clock.advance(TimeDelta::milliseconds(1));
    assert_eq!(bench.admitted(&caller, 5, 1).await, 1);
    let hour = refusal(&bench, &caller, 1).await;
    assert_eq!(hour.to_string(), "Rate limit exceeded: Hour request limit exceeded");
    assert_eq!((hour.retry_after(), hour.is_curable()), (Some(Duration::from_secs(59 * 60)), true));
    bench.clock.advance(TimeDelta::minutes(59));
    assert_eq!(bench.admitted(&caller, 5, 1).await, 1);
    let day = refusal(&bench, &caller, 1).await;
    assert_eq!(day.to_string(), "Rate limit exceeded: Day request limit exceeded");
    assert_eq!((day.retry_after(), day.is_curable()), (Some(Duration::from_secs(15 * 3_600)), false));
    bench.clock.advance(TimeDelta::hours(15));
    assert_eq!(bench.admitted(&caller, 5, 1).await, 2, "a new day, a new minute");
}

#[actix_rt::test]
async fn tokens_are_counted_as_asked_and_corrected_to_what_was_used() {
    let bench = wide_bench();
    let caller = limited(RateLimits { tokens_per_minute: 100, ..WIDE });
    let used = async || bench.limiter.usage(caller.user, caller.key).await.unwrap().minute;
    let mut first = bench.limiter.admit(&caller, 60).await.unwrap();
    assert_eq!(refusal(&bench, &caller, 41).await.to_string(), "Rate limit exceeded: Minute token limit exceeded");
    assert_eq!(used().await, Use { requests: 1, tokens: 60 });
    first.correct(25);
    drop(first);
    assert_eq!(used().await, Use { requests: 1, tokens: 25 });
    let second = bench.limiter.admit(&caller, 75).await.unwrap();
    assert_eq!(used().await, Use { requests: 2, tokens: 100 });
    drop(second);
    assert_eq!(used().await, Use { requests: 2, tokens: 25 }, "what came to nothing gives its tokens back");
    let usage = bench.limiter.usage(caller.user, caller.key).await.unwrap();
    assert_eq!((usage.hour.requests, usage.day.requests, usage.user_month.requests), (2, 1, 1), "and its request to the day");
    assert_eq!(usage.under_way, 0);
}

#[actix_rt::test]
async fn what_ends_in_a_later_window_does_not_touch_that_window() {
    let bench = wide_bench();
    let caller = limited(WIDE);
    let long = bench.limiter.admit(&caller, 60).await.unwrap();
    bench.clock.advance(TimeDelta::seconds(61));
    keep(bench.limiter.admit(&caller, 5).await.unwrap());
    drop(long);
    let usage = bench.limiter.usage(caller.user, caller.key).await.unwrap();
    // Mutant: `take_back` without its condition turns this red.
    assert_eq!((usage.minute, usage.hour), (Use { requests: 1, tokens: 5 }, Use { requests: 2, tokens: 5 }));
}

#[actix_rt::test]
async fn a_request_that_is_more_than_the_limit_is_told_that_waiting_does_not_help() {
    let bench = wide_bench();
    let caller = limited(RateLimits { tokens_per_minute: 100, ..WIDE });
    let refusal = refusal(&bench, &caller, 101).await;
    assert!(!refusal.is_curable() && refusal.retry_after().is_some(), "{refusal:?}");
}

#[actix_rt::test]
async fn calls_at_the_same_time_are_bounded_and_each_that_ends_makes_room() {
    let bench = wide_bench();
    let caller = limited(RateLimits { concurrency: 3, ..WIDE });
    let mut permits = Vec::new();
    for _ in 0..3 {
        permits.push(bench.limiter.admit(&caller, 1).await.unwrap());
    }
    assert_eq!(refusal(&bench, &caller, 1).await.to_string(), "Rate limit exceeded: Concurrency limit exceeded");
    permits.pop();
    permits.push(bench.limiter.admit(&caller, 1).await.unwrap());
    assert!(bench.limiter.admit(&caller, 1).await.is_err());
    // A call's task that panics drops its permit as any other.
    let permit = permits.pop().unwrap();
    let task = tokio::spawn(async move {
        let _permit = permit;
        panic!("in the middle of a call");
    });
    assert!(task.await.is_err());
    assert!(bench.limiter.admit(&caller, 1).await.is_ok());
}

#[actix_rt::test]
async fn a_burst_is_let_through_and_then_one_each_second() {
    let bench = wide_bench();
    let caller = limited(RateLimits { burst: 60, ..WIDE });
    assert_eq!(bench.admitted(&caller, 100, 1).await, 60);
    let refusal = refusal(&bench, &caller, 1).await;
    assert_eq!(
        (refusal.to_string().as_str(), refusal.retry_after()),
        ("Rate limit exceeded: Burst limit exceeded", Some(Duration::from_secs(1)))
    );
    bench.clock.advance(TimeDelta::seconds(5));
    assert_eq!(bench.admitted(&caller, 100, 1).await, 5);
}

#[actix_rt::test]
async fn many_keys_do_not_multiply_a_users_limit() {
    let bench = Bench::with(
        &Arc::default(),
        &Arc::default(),
        LimiterOptions { defaults: RateLimits { requests_per_minute: 60, ..WIDE }, ..WIDE_OPTIONS },
    );
    let mut admitted = 0;
    for key in 1..=5 {
        let caller = with_key(key, limited(RateLimits { requests_per_minute: 50, ..WIDE }));
        admitted += bench.admitted(&caller, 100, 1).await;
    }
    assert_eq!(admitted, 60);
    let last = with_key(9, limited(RateLimits { requests_per_minute: 50, ..WIDE }));
    assert_eq!(refusal(&bench, &last, 1).await.to_string(), "Rate limit exceeded: Minute request limit exceeded over all keys");
    let granted = with_key(10, limited(RateLimits { requests_per_minute: 80, ..WIDE }));
    assert_eq!(bench.admitted(&granted, 100, 1).await, 20, "a key that was given more may use more");
}

#[actix_rt::test]
async fn a_plan_limits_the_day_the_month_and_calls_at_the_same_time_and_a_test_key_has_half() {
    let options = LimiterOptions { plans_limit: true, ..WIDE_OPTIONS };
    let bench = Bench::with(&Arc::default(), &Arc::default(), options);
    // Without a plan: 100 requests a day, 10,000 tokens, 5 at a time.
    let live = limited(WIDE);
    let mut test = with_key(2, limited(WIDE));
    test.environment = Environment::Test;
    assert_eq!(bench.admitted(&test, 200, 1).await, 50);
    let of_test = refusal(&bench, &test, 1).await;
    assert_eq!(of_test.to_string(), "Plan limit exceeded: Daily request limit exceeded (50) for test environment");
    assert_eq!(bench.admitted(&live, 200, 1).await, 50);
    let of_live = refusal(&bench, &live, 1).await;
    assert_eq!(of_live.to_string(), "Plan limit exceeded: Daily request limit exceeded (100) for live environment");
    assert!(of_live.is_of_plan() && !of_live.is_curable());
    bench.clock.advance(TimeDelta::days(1));
    assert_eq!(
        refusal(&bench, &live, 10_001).await.to_string(),
        "Plan limit exceeded: Daily token limit exceeded (10000) for live environment"
    );
    let mut permits = Vec::new();
    for _ in 0..5 {
        permits.push(bench.limiter.admit(&live, 1).await.unwrap());
    }
    assert_eq!(refusal(&bench, &live, 1).await.to_string(), "Plan limit exceeded: Concurrent request limit exceeded (5)");
}

#[actix_rt::test]
async fn a_month_is_a_calendar_month() {
    let bench = Bench::with(&Arc::default(), &Arc::default(), LimiterOptions { plans_limit: true, ..WIDE_OPTIONS });
    let caller = limited(WIDE);
    // The 15th of January 2027: 100 a day, 1,000 a month.
    for _ in 0..10 {
        assert_eq!(bench.admitted(&caller, 101, 1).await, 100);
        bench.clock.advance(TimeDelta::days(1));
    }
    let spent = refusal(&bench, &caller, 1).await;
    assert_eq!(spent.to_string(), "Plan limit exceeded: Monthly request limit exceeded (1000) for live environment");
    assert_eq!(spent.retry_after(), Some(Duration::from_secs(6 * 86_400 + 16 * 3_600)));
    bench.clock.advance(TimeDelta::days(7));
    assert_eq!(bench.admitted(&caller, 1, 1).await, 1);
}

#[actix_rt::test]
async fn a_trial_is_exact_under_concurrency_and_a_refused_call_counts_nowhere() {
    let bench = wide_bench();
    let mut caller = caller_on_trial(1_000, 7);
    caller.limits = WIDE;
    let mut permits = Vec::new();
    for _ in 0..20 {
        permits.extend(bench.limiter.admit(&caller, 10).await.ok());
    }
    assert_eq!(permits.len(), 7);
    let used_up = TrialRefusal::UsedUp { tokens_remaining: 930, requests_remaining: 0 };
    assert_eq!(refusal(&bench, &caller, 10).await, Refusal::Trial(used_up));
    assert_eq!(bench.limiter.usage(caller.user, caller.key).await.unwrap().minute.requests, 7);
    drop(permits);
    let trial = caller.trial.as_ref().unwrap();
    assert_eq!((trial.tokens_remaining(), trial.requests_remaining()), (1_000, 7), "nothing was charged");
    let used_up = TrialRefusal::UsedUp { tokens_remaining: 1_000, requests_remaining: 7 };
    assert_eq!(refusal(&bench, &caller, 1_001).await, Refusal::Trial(used_up));
    bench.clock.advance(TimeDelta::days(1));
    assert!(matches!(refusal(&bench, &caller, 1).await, Refusal::Trial(TrialRefusal::Over { .. })));
}

#[actix_rt::test]
async fn an_address_has_its_minute_and_an_ipv6_network_counts_as_one() {
    let bench = Bench::with(&Arc::default(), &Arc::default(), LimiterOptions { address_per_minute: 3, ..WIDE_OPTIONS });
    let address = |last: u8| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    let admitted = |address: IpAddr| (0..5).filter(|_| bench.limiter.admit_address(address).unwrap().is_admitted).count();
    assert_eq!((admitted(address(1)), admitted(address(2))), (3, 3));
    assert_eq!(admitted("2001:db8::1".parse().unwrap()), 3);
    assert_eq!(admitted("2001:db8::2".parse().unwrap()), 0);
    assert_eq!(admitted("2001:db8:0:1::2".parse().unwrap()), 3);
    bench.clock.advance(TimeDelta::minutes(1));
    assert_eq!(admitted(address(1)), 3);
    assert_eq!(wide_bench().limiter.admit_address(address(1)), None, "0 is no limit");
}

#[actix_rt::test]
async fn addresses_without_end_do_not_fill_the_memory() {
    let addresses = Addresses::new(1);
    let counted = (0..300_000_u32).filter(|n| addresses.admit(IpAddr::V4(Ipv4Addr::from_bits(*n)), 0).is_some()).count();
    assert!(counted <= 100_000, "{counted}");
}

#[actix_rt::test]
async fn a_refusal_is_told_of_once_for_each_key_kind_and_window() {
    let bench = wide_bench();
    let caller = limited(RateLimits { requests_per_minute: 1, ..WIDE });
    for _ in 0..2 {
        assert_eq!(bench.admitted(&caller, 50, 1).await, 1);
        bench.clock.advance(TimeDelta::minutes(1));
    }
    bench.limiter.flush().await.unwrap();
    let alerts = bench.tables.alerts.lock().unwrap().clone();
    assert_eq!(alerts.iter().map(|alert| alert.kind).collect::<Vec<_>>(), ["requests_per_minute"; 2]);
    assert_eq!(alerts[0].details["reason"], "Rate limit exceeded: Minute request limit exceeded");
}
