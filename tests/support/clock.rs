use chrono::{DateTime, Duration, Utc};
use std::sync::atomic::{AtomicI64, Ordering};
use tollgate_actors::ports::{Clock, SystemClock};

/// The machine's clock, turned forward by the test.
#[derive(Debug, Default)]
pub struct TurnedClock {
    ahead_micros: AtomicI64,
}

impl TurnedClock {
    pub fn advance(&self, by: std::time::Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.ahead_micros.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + Duration::microseconds(self.ahead_micros.load(Ordering::SeqCst))
    }
}
