use super::Turned;
use crate::upstreams::budget::{Budget, WINDOW_SECONDS};
use proptest::prelude::*;

const PERCENT: u32 = 20;
const PER_SECOND: u32 = 3;

/// Calls and granted retries, each with its second.
#[derive(Default)]
struct Reference {
    calls: Vec<u64>,
    retries: Vec<u64>,
}

impl Reference {
    fn take(&mut self, second: u64) -> bool {
        let in_window = |at: &&u64| second - **at < u64::from(WINDOW_SECONDS);
        let calls = self.calls.iter().filter(in_window).count();
        let retries = self.retries.iter().filter(in_window).count();
        let number = |number: u32| usize::try_from(number).unwrap();
        let granted = retries < calls * number(PERCENT) / 100 + number(PER_SECOND * WINDOW_SECONDS);
        if granted {
            self.retries.push(second);
        }
        granted
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    // Mutant: slots that are not emptied when their second comes round again turn this red.
    #[test]
    fn the_budget_grants_what_a_list_of_all_calls_allows(
        steps in proptest::collection::vec((0..1_700_u64, 0..60_usize, 0..60_usize), 1..60)
    ) {
        let time = Turned::new();
        let (budget, mut reference) = (Budget::new(PERCENT, PER_SECOND, time.at(0)), Reference::default());
        let mut now = 0;
        for (wait, calls, retries) in steps {
            now += wait;
            let second = now / 1_000;
            for _ in 0..calls {
                budget.called(time.at(now));
                reference.calls.push(second);
            }
            for _ in 0..retries {
                prop_assert_eq!(budget.take(time.at(now)), reference.take(second));
            }
        }
    }
}

#[test]
fn when_every_call_fails_a_fifth_of_them_is_retried() {
    let time = Turned::new();
    let budget = Budget::new(20, 0, time.at(0));
    let mut granted = 0;
    for n in 0..100_000_u64 {
        budget.called(time.at(n / 10));
        granted += u32::from(budget.take(time.at(n / 10)));
    }
    assert_eq!(granted, 20_000);
}

#[test]
fn many_threads_count_every_call_and_take_no_retry_too_many() {
    let time = Turned::new();
    let (budget, now) = (&Budget::new(20, 0, time.at(0)), time.at(500));
    let granted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(move || (0..10_000).for_each(|_| budget.called(now)))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let takers = (0..8).map(|_| scope.spawn(move || (0..10_000).filter(|_| budget.take(now)).count()));
        takers.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(granted, 16_000);
}
