//! How fast refusals go out. A refusal costs a tenth of an answer, so clients that ask again as soon as they are refused would keep
//! a worker busy with nothing else: above a rate each refusal is told a little later, and they wait instead of us.

use actix_web::http::StatusCode;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Between two refusals of one worker, once the burst is used up.
const INTERVAL: Duration = Duration::from_millis(1);
/// So much time without refusals is made up for at once: a thousand.
const BURST: Duration = Duration::from_secs(1);
/// Whoever would wait for longer does not: the rate is a bound for as many clients as this has room for.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// One worker's refusals, as a leaky bucket (GCRA).
#[derive(Debug)]
pub struct Pace {
    /// When the next one is due, if there were no burst.
    next: Cell<Instant>,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self { next: Cell::new(now) }
    }

    /// How long an answer of this status is to be kept back.
    pub fn wait(&self, status: StatusCode, now: Instant) -> Duration {
        if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            return Duration::ZERO;
        }
        let oldest = now.checked_sub(BURST).unwrap_or(now);
        let due = self.next.get().max(oldest);
        let wait = due.saturating_duration_since(now);
        if wait >= WAIT_MAX {
            return WAIT_MAX;
        }
        self.next.set(due + INTERVAL);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

    #[test]
    fn a_burst_of_refusals_goes_out_at_once_and_then_one_a_millisecond_up_to_the_longest_wait() {
        let now = Instant::now() + BURST;
        let pace = Pace::new(now - BURST);
        let waits: Vec<Duration> = (0..5_000).map(|_| pace.wait(BUSY, now)).collect();
        // Mutant: `next` that is not moved on turns all of this red.
        assert!(waits[..=1_000].iter().all(Duration::is_zero));
        assert_eq!((waits[1_001], waits[1_100]), (INTERVAL, 100 * INTERVAL));
        assert!(waits[1_500..].iter().all(|wait| *wait == WAIT_MAX));
        assert_eq!(pace.wait(StatusCode::OK, now), Duration::ZERO, "answers never wait");
        assert_eq!(pace.wait(BUSY, now + WAIT_MAX + BURST), Duration::ZERO, "a flood is forgotten when it is over");
    }
}
