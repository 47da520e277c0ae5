mod breaker;
mod budget;
mod gateway;

use std::time::{Duration, Instant};

/// Time as the tests turn it: milliseconds after a start of their own.
struct Turned(Instant);

impl Turned {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn at(&self, ms: u64) -> Instant {
        self.0 + Duration::from_millis(ms)
    }
}
