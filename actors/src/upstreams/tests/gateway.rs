use super::Turned;
use crate::upstreams::{Failure, MODELS_MAX, Pass, Resting, UpstreamOptions, Upstreams};
use std::sync::Barrier;
use std::time::{Duration, Instant};
use tollgate_domain::GatewayId;

const ONE: GatewayId = GatewayId::OpenRouter;
const OTHER: GatewayId = GatewayId::Glama;
const REST: Duration = Duration::from_secs(5);
const KEY_REST: Duration = Duration::from_secs(30);
const FAILURES: u64 = 5;

fn upstreams(time: &Turned) -> Upstreams {
    let options = UpstreamOptions { rest: REST, key_rest: KEY_REST, ..UpstreamOptions::default() };
    assert_eq!(u64::from(options.failures), FAILURES);
    Upstreams::new(options, time.at(0))
}

fn fail(upstreams: &Upstreams, gateway: GatewayId, model: &str, failure: Failure, now: Instant) {
    upstreams.admit(gateway, model, now).expect("a pass").failed(model, failure, now);
}

fn is_free(upstreams: &Upstreams, gateway: GatewayId, model: &str, now: Instant) -> bool {
    upstreams.admit(gateway, model, now).is_ok_and(|pass| !pass.is_probe())
}

#[test]
fn a_gateway_that_can_not_be_reached_rests_with_all_its_models_and_no_other_gateway_does() {
    let time = Turned::new();
    let upstreams = upstreams(&time);
    for n in 0..FAILURES {
        fail(&upstreams, ONE, "a", Failure::Gateway, time.at(n));
    }
    let resting = upstreams.admit(ONE, "b", time.at(FAILURES)).unwrap_err();
    assert_eq!(resting, Resting { until: time.at(FAILURES - 1) + REST, busy: false });
    assert!(is_free(&upstreams, OTHER, "a", time.at(FAILURES)));
}

#[test]
fn a_refused_key_rests_longer() {
    let time = Turned::new();
    let upstreams = upstreams(&time);
    for _ in 0..FAILURES {
        fail(&upstreams, ONE, "a", Failure::Key, time.at(0));
    }
    assert_eq!(upstreams.admit(ONE, "a", time.at(1)).unwrap_err().until, time.at(0) + KEY_REST);
}

#[test]
fn a_broken_model_does_not_take_its_gateway_with_it() {
    let time = Turned::new();
    let upstreams = upstreams(&time);
    for _ in 0..FAILURES {
        fail(&upstreams, ONE, "broken", Failure::Model, time.at(0));
    }
    assert!(upstreams.admit(ONE, "broken", time.at(1)).is_err());
    assert!(is_free(&upstreams, ONE, "well", time.at(1)));
    // But when one model after the other fails, it is the gateway.
    for n in 1..FAILURES {
        fail(&upstreams, ONE, &format!("model {n}"), Failure::Model, time.at(n));
    }
    assert!(upstreams.admit(ONE, "well", time.at(FAILURES)).is_err());
}

#[test]
fn a_model_that_is_busy_rests_as_long_as_it_was_told_and_no_other_does() {
    let time = Turned::new();
    let upstreams = upstreams(&time);
    fail(&upstreams, ONE, "busy", Failure::Busy(Duration::from_secs(7)), time.at(0));
    assert_eq!(upstreams.admit(ONE, "busy", time.at(6_999)).unwrap_err(), Resting { until: time.at(7_000), busy: true });
    assert!(is_free(&upstreams, ONE, "other", time.at(1)));
    assert!(is_free(&upstreams, ONE, "busy", time.at(7_000)));
    // Nobody rests for a day because a gateway says so.
    fail(&upstreams, ONE, "busy", Failure::Busy(Duration::from_secs(86_400)), time.at(8_000));
    assert!(is_free(&upstreams, ONE, "busy", time.at(68_000)));
}

#[test]
fn a_rest_ends_with_a_probe_that_goes_well() {
    let time = Turned::new();
    let upstreams = upstreams(&time);
    for failure in [Failure::Gateway, Failure::Model] {
        for _ in 0..FAILURES {
            fail(&upstreams, ONE, "a", failure, time.at(0));
        }
        let mut probe = upstreams.admit(ONE, "a", time.at(5_000)).unwrap();
        assert!(probe.is_probe());
        assert!(upstreams.admit(ONE, "a", time.at(5_000)).is_err());
        probe.succeeded("a");
        assert!(is_free(&upstreams, ONE, "a", time.at(5_001)), "{failure:?}");
    }
}

#[test]
fn a_probe_that_ends_without_a_word_makes_room_for_another() {
    let time = Turned::new();
    let upstreams = upstreams(&time);
    for failure in [Failure::Gateway, Failure::Model] {
        for _ in 0..FAILURES {
            fail(&upstreams, ONE, "a", failure, time.at(0));
        }
        let probe = upstreams.admit(ONE, "a", time.at(5_000)).unwrap();
        drop(probe);
        // It ended at the machine's time.
        let later = Instant::now() + REST;
        let mut probe = upstreams.admit(ONE, "a", later).unwrap();
        assert!(probe.is_probe());
        probe.succeeded("a");
    }
}

#[test]
fn what_ends_after_the_breaker_has_opened_changes_nothing() {
    let time = Turned::new();
    let upstreams = upstreams(&time);
    let early: Vec<Pass> = (0..10).map(|_| upstreams.admit(ONE, "a", time.at(0)).unwrap()).collect();
    for _ in 0..FAILURES {
        fail(&upstreams, ONE, "a", Failure::Gateway, time.at(0));
    }
    for (n, mut pass) in early.into_iter().enumerate() {
        if n % 2 == 0 { pass.succeeded("a") } else { pass.failed("a", Failure::Gateway, time.at(3_000)) }
    }
    assert!(upstreams.admit(ONE, "a", time.at(4_999)).is_err());
    assert!(upstreams.admit(ONE, "a", time.at(5_000)).unwrap().is_probe());
}

#[test]
fn one_of_a_thousand_threads_is_the_probe() {
    let time = Turned::new();
    let upstreams = upstreams(&time);
    for failure in [Failure::Gateway, Failure::Model] {
        for _ in 0..FAILURES {
            fail(&upstreams, ONE, "a", failure, time.at(0));
        }
        let start = Barrier::new(1_000);
        let passes: Vec<Pass> = std::thread::scope(|scope| {
            let ask = || {
                start.wait();
                upstreams.admit(ONE, "a", time.at(5_000)).ok()
            };
            let threads: Vec<_> = (0..1_000).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(passes.len(), 1, "{failure:?}");
        passes.into_iter().for_each(|mut pass| pass.succeeded("a"));
    }
}

#[test]
fn the_memory_of_models_is_bounded_and_ends() {
    let time = Turned::new();
    let upstreams = upstreams(&time);
    for n in 0..2 * MODELS_MAX {
        // A success in between: the gateway itself is well.
        fail(&upstreams, ONE, &format!("model {n}"), Failure::Busy(REST), time.at(0));
    }
    assert!(upstreams.admit(ONE, "model 0", time.at(1)).is_err());
    assert!(is_free(&upstreams, ONE, &format!("model {}", 2 * MODELS_MAX - 1), time.at(1)));
    fail(&upstreams, ONE, "one more", Failure::Busy(REST), time.at(60_000));
    assert!(upstreams.admit(ONE, "one more", time.at(60_001)).is_err(), "there is room again");
}

#[test]
fn switched_off_it_lets_everybody_through() {
    let time = Turned::new();
    let upstreams = Upstreams::new(UpstreamOptions { failures: 0, ..UpstreamOptions::default() }, time.at(0));
    for _ in 0..100 {
        fail(&upstreams, ONE, "a", Failure::Key, time.at(0));
        fail(&upstreams, ONE, "a", Failure::Busy(REST), time.at(0));
    }
}
