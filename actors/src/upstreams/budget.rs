//! The retry budget, as linkerd's: retries may add a share of the calls of the last ten seconds, and a few a second besides.
//! When everything fails, the gateways see a fifth more requests, not three times as many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How long a call counts.
pub const WINDOW_SECONDS: u32 = 10;
/// One more: the second that is being filled.
const SLOTS: usize = 11;

#[derive(Debug)]
pub struct Budget {
    percent: u64,
    per_second: u64,
    began: Instant,
    /// Calls by second: the second in the upper half, their number in the lower.
    calls: [AtomicU64; SLOTS],
    /// Retries by second, likewise.
    retries: Mutex<[Slot; SLOTS]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u32,
    count: u32,
}

impl Slot {
    const fn unpack(packed: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = packed.to_be_bytes();
        Self { second: u32::from_be_bytes([a, b, c, d]), count: u32::from_be_bytes([e, f, g, h]) }
    }

    fn pack(self) -> u64 {
        u64::from(self.second) << 32 | u64::from(self.count)
    }

    /// One more in that second.
    const fn counted(self, second: u32) -> Self {
        if self.second == second { Self { second, count: self.count.saturating_add(1) } } else { Self { second, count: 1 } }
    }

    /// What of it lies in the window that ends with that second.
    fn in_window(self, second: u32) -> u64 {
        if second.checked_sub(self.second).is_some_and(|age| age < WINDOW_SECONDS) { u64::from(self.count) } else { 0 }
    }
}

impl Budget {
    pub fn new(percent: u32, per_second: u32, now: Instant) -> Self {
        let (percent, per_second) = (u64::from(percent), u64::from(per_second));
        Self { percent, per_second, began: now, calls: Default::default(), retries: Mutex::default() }
    }

    pub fn called(&self, now: Instant) {
        let second = self.second(now);
        let Some(slot) = self.calls.get(place(second)) else { return };
        let counted = |packed| Some(Slot::unpack(packed).counted(second).pack());
        // It always says Some.
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    pub fn take(&self, now: Instant) -> bool {
        let second = self.second(now);
        let calls: u64 = self.calls.iter().map(|slot| Slot::unpack(slot.load(Ordering::Relaxed)).in_window(second)).sum();
        let allowed = calls * self.percent / 100 + self.per_second * u64::from(WINDOW_SECONDS);
        let mut retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        let taken: u64 = retries.iter().map(|slot| slot.in_window(second)).sum();
        if taken >= allowed {
            return false;
        }
        if let Some(slot) = retries.get_mut(place(second)) {
            *slot = slot.counted(second);
        }
        true
    }

    /// Seconds since the start; the first is 0, and what is older than the process counts as the first.
    fn second(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.began).as_secs()).unwrap_or(u32::MAX)
    }
}

fn place(second: u32) -> usize {
    usize::try_from(second).unwrap_or_default() % SLOTS
}
