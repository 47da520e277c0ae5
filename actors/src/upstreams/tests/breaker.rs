use super::Turned;
use crate::upstreams::breaker::{Breaker, Change, Leave, OUTCOMES_LEAST, Terms};
use proptest::prelude::*;
use std::time::Duration;

const WINDOW_MS: u64 = 1_000;
const REST_MS: u64 = 200;
const REST_MAX_MS: u64 = 700;
const FAILURES: u32 = 4;

const TERMS: Terms = Terms {
    failures: FAILURES,
    failure_percent: 50,
    window: Duration::from_millis(WINDOW_MS),
    rest: Duration::from_millis(REST_MS),
    rest_max: Duration::from_millis(REST_MAX_MS),
};

/// The same rules, told from a list of all that has happened.
#[derive(Default)]
struct Reference {
    /// Since the breaker was closed for the last time: when, and whether it failed.
    outcomes: Vec<(u64, bool)>,
    open_until: Option<u64>,
    rest: u64,
    probing: bool,
}

impl Reference {
    fn leave(&self, now: u64) -> &'static str {
        match self.open_until {
            _ if self.probing => "rest",
            None => "free",
            Some(until) if now < until => "rest",
            Some(_) => "probe",
        }
    }

    fn outcome(&mut self, now: u64, failed: bool, is_probe: bool) {
        if self.probing && is_probe {
            let rest = self.rest;
            *self = Self::default();
            if failed {
                self.open(now, (rest * 2).max(REST_MS));
            }
        } else if !self.probing && self.open_until.is_none() {
            self.outcomes.push((now, failed));
            if failed && self.is_too_much() {
                self.open(now, REST_MS);
            }
        }
    }

    fn open(&mut self, now: u64, rest: u64) {
        self.rest = rest.min(REST_MAX_MS);
        self.open_until = Some(now + self.rest);
        self.outcomes.clear();
    }

    fn is_too_much(&self) -> bool {
        let in_a_row = self.outcomes.iter().rev().take_while(|(_, failed)| *failed).count();
        in_a_row >= usize::try_from(FAILURES).unwrap() || self.share_is_too_large()
    }

    /// The windows, one after the other: each begins with a failure, and the first outcome that comes too late ends it.
    fn share_is_too_large(&self) -> bool {
        let mut rest = self.outcomes.as_slice();
        while let Some(first) = rest.iter().position(|(_, failed)| *failed) {
            rest = &rest[first..];
            let length = rest.iter().take_while(|(at, _)| at - rest[0].0 <= WINDOW_MS).count();
            if length == rest.len() {
                let failed = rest.iter().filter(|(_, failed)| *failed).count();
                return length >= usize::try_from(OUTCOMES_LEAST).unwrap() && failed * 2 >= length;
            }
            rest = &rest[length..];
        }
        false
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Call,
    /// One of the calls under way ends; which, and how. `None`: it ends without a word.
    End(usize, Option<bool>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..400_u64).prop_map(Step::Wait),
        8 => Just(Step::Call),
        8 => (any::<usize>(), prop_oneof![5 => Just(Some(true)), 4 => Just(Some(false)), 1 => Just(None)])
            .prop_map(|(which, failed)| Step::End(which, failed)),
    ];
    proptest::collection::vec(step, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    // Mutants: `in_a_row >` for `>=`, a rest that does not double, a window that never ends: each turns this red.
    #[test]
    fn the_breaker_does_what_a_list_of_all_outcomes_says(steps in steps()) {
        let time = Turned::new();
        let (mut breaker, mut reference) = (Breaker::new(time.at(0)), Reference::default());
        let (mut now, mut under_way, mut probes) = (0, Vec::new(), 0);
        for step in steps {
            match step {
                Step::Wait(ms) => now += ms,
                Step::Call => {
                    let leave = breaker.leave(time.at(now));
                    let said = match leave { Leave::Free => "free", Leave::Probe => "probe", Leave::Rest { .. } => "rest" };
                    prop_assert_eq!(said, reference.leave(now));
                    if leave == Leave::Probe {
                        breaker.probe();
                        reference.probing = true;
                        probes += 1;
                    }
                    if !matches!(leave, Leave::Rest { .. }) {
                        under_way.push(leave == Leave::Probe);
                    }
                }
                Step::End(which, failed) if !under_way.is_empty() => {
                    let is_probe = under_way.swap_remove(which % under_way.len());
                    probes -= i32::from(is_probe);
                    match failed {
                        Some(true) => _ = breaker.failed(is_probe, TERMS.rest, &TERMS, time.at(now)),
                        Some(false) => _ = breaker.succeeded(is_probe, &TERMS, time.at(now)),
                        None if is_probe => {
                            breaker.probe_again(time.at(now));
                            (reference.probing, reference.open_until) = (false, Some(now));
                        }
                        None => {}
                    }
                    if let Some(failed) = failed {
                        reference.outcome(now, failed, is_probe);
                    }
                }
                Step::End(..) => {}
            }
            prop_assert!(probes <= 1, "two probes at once");
        }
    }
}

#[test]
fn rests_double_up_to_their_bound_and_start_anew_after_a_success() {
    let time = Turned::new();
    let mut breaker = Breaker::new(time.at(0));
    for _ in 1..FAILURES {
        assert_eq!(breaker.failed(false, TERMS.rest, &TERMS, time.at(0)), Change::None);
    }
    let mut now = 0;
    let opened = breaker.failed(false, TERMS.rest, &TERMS, time.at(now));
    assert_eq!(opened, Change::Opened { rest: TERMS.rest });
    for (ended, next) in [(REST_MS, 400), (400, REST_MAX_MS), (REST_MAX_MS, REST_MAX_MS)] {
        assert!(matches!(breaker.leave(time.at(now + ended - 1)), Leave::Rest { .. }));
        now += ended;
        assert_eq!(breaker.leave(time.at(now)), Leave::Probe);
        breaker.probe();
        let change = breaker.failed(true, TERMS.rest, &TERMS, time.at(now));
        assert_eq!(change, Change::Opened { rest: Duration::from_millis(next) });
    }
    now += REST_MAX_MS;
    breaker.probe();
    assert_eq!(breaker.succeeded(true, &TERMS, time.at(now)), Change::Closed);
    assert!(breaker.is_quiet());
}

#[test]
fn half_of_twenty_outcomes_are_too_many_also_when_none_fail_in_a_row() {
    let time = Turned::new();
    let mut breaker = Breaker::new(time.at(0));
    let outcome = |breaker: &mut Breaker, n: u64| match n % 2 {
        0 => breaker.failed(false, TERMS.rest, &TERMS, time.at(n)),
        _ => breaker.succeeded(false, &TERMS, time.at(n)),
    };
    assert!((0..20).all(|n| outcome(&mut breaker, n) == Change::None));
    assert!(matches!(outcome(&mut breaker, 20), Change::Opened { .. }));
}

#[test]
fn with_no_bound_it_never_opens() {
    let time = Turned::new();
    let mut breaker = Breaker::new(time.at(0));
    let terms = Terms { failures: 0, ..TERMS };
    assert!((0..1_000).all(|n| breaker.failed(false, terms.rest, &terms, time.at(n)) == Change::None));
}
