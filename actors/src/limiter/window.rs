//! Fixed UTC windows, and what is used of them.

use chrono::{DateTime, Datelike, Months, NaiveTime, Utc};
use std::ops::{Add, Neg, Sub};
use tollgate_store::limit_counters::WindowCount;

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    Minute,
    Hour,
    Day,
    /// A calendar month.
    Month,
}

impl WindowKind {
    /// The window that holds that moment: its start and its end, in Unix seconds.
    #[must_use]
    pub fn around(self, now_s: i64) -> (i64, i64) {
        let fixed = |length: i64| {
            let start = now_s - now_s.rem_euclid(length);
            (start, start + length)
        };
        match self {
            Self::Minute => fixed(60),
            Self::Hour => fixed(3_600),
            Self::Day => fixed(86_400),
            Self::Month => month_around(now_s),
        }
    }
}

fn month_around(now_s: i64) -> (i64, i64) {
    let today = time_of(now_s).date_naive();
    let first = today.with_day(1).unwrap_or(today);
    let next = first.checked_add_months(Months::new(1)).unwrap_or(first);
    (first.and_time(NaiveTime::MIN).and_utc().timestamp(), next.and_time(NaiveTime::MIN).and_utc().timestamp())
}

pub(super) fn time_of(unix_s: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(unix_s, 0).unwrap_or_default()
}

/// Requests and tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    pub requests: i64,
    pub tokens: i64,
}

impl Add for Use {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { requests: self.requests.saturating_add(other.requests), tokens: self.tokens.saturating_add(other.tokens) }
    }
}

impl Neg for Use {
    type Output = Self;

    fn neg(self) -> Self {
        Self { requests: self.requests.saturating_neg(), tokens: self.tokens.saturating_neg() }
    }
}

impl Sub for Use {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

/// One window of one subject. What is used is the sum of three parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    start_s: i64,
    end_s: i64,
    /// What the table has, of all replicas.
    known: Use,
    /// On its way to the table.
    sending: Use,
    /// Counted here since.
    fresh: Use,
}

impl Window {
    pub fn new(kind: WindowKind, now_s: i64) -> Self {
        let (start_s, end_s) = kind.around(now_s);
        Self { start_s, end_s, known: Use::default(), sending: Use::default(), fresh: Use::default() }
    }

    /// Begins the next window when this one is over. Whoever read the clock a moment before that counts in the new one; a
    /// clock that was set back by more begins anew.
    pub fn roll(&mut self, kind: WindowKind, now_s: i64) {
        let length = self.end_s - self.start_s;
        if now_s >= self.end_s || now_s < self.start_s - length {
            *self = Self::new(kind, now_s);
        }
    }

    pub fn used(&self) -> Use {
        self.known + self.sending + self.fresh
    }

    pub const fn end_s(&self) -> i64 {
        self.end_s
    }

    pub fn add(&mut self, used: Use) {
        self.fresh = self.fresh + used;
    }

    /// Takes back what was counted at that moment, unless its window is over.
    pub fn take_back(&mut self, used: Use, counted_s: i64) {
        if counted_s < self.end_s && counted_s >= self.start_s {
            self.fresh = self.fresh - used;
        }
    }

    pub fn has_fresh(&self) -> bool {
        self.fresh != Use::default()
    }

    pub fn is_saved(&self) -> bool {
        self.fresh == Use::default() && self.sending == Use::default()
    }

    /// The fresh part goes to the table.
    pub fn send(&mut self) -> WindowCount {
        self.sending = self.sending + self.fresh;
        self.fresh = Use::default();
        WindowCount { start: time_of(self.start_s), requests: self.sending.requests, tokens: self.sending.tokens }
    }

    /// What was on its way has arrived; `total` is what the table has now.
    pub fn arrived(&mut self, total: &WindowCount) {
        // A window of another time: this one has begun since, or another replica's clock is ahead.
        self.known = if total.start.timestamp() == self.start_s { use_of(total) } else { self.known + self.sending };
        self.sending = Use::default();
    }

    /// What the table has, read while nothing was on its way.
    pub fn learn(&mut self, total: &WindowCount) {
        if total.start.timestamp() == self.start_s && self.sending == Use::default() {
            self.known = use_of(total);
        }
    }
}

const fn use_of(count: &WindowCount) -> Use {
    Use { requests: count.requests, tokens: count.tokens }
}
