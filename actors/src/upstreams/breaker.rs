//! A circuit breaker: a plain state machine, without lock or clock.
//!
//! ```text
//! closed ── failures in a row, or too large a share of a window ──▶ open ── rest is over ──▶ one probe ── well ──▶ closed
//!                                                                    ▲                          │
//!                                                                    └── twice the rest ── not ─┘
//! ```

use std::time::{Duration, Instant};

/// Outcomes in a window below which a share says nothing.
pub const OUTCOMES_LEAST: u32 = 20;
/// When to come back while a probe is under way.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// In a row; 0: never opens.
    pub failures: u32,
    pub failure_percent: u32,
    pub window: Duration,
    pub rest: Duration,
    pub rest_max: Duration,
}

/// What a breaker says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    Free,
    /// The rest is over: one call may try.
    Probe,
    Rest {
        until: Instant,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Instant },
    Probing,
}

/// What an outcome has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    Opened { rest: Duration },
    Closed,
}

#[derive(Clone, Debug)]
pub struct Breaker {
    phase: Phase,
    /// How long the next rest is, when it is a probe that fails.
    rest: Duration,
    /// The window's first failure.
    since: Instant,
    in_a_row: u32,
    failures: u32,
    successes: u32,
}

impl Breaker {
    pub const fn new(now: Instant) -> Self {
        Self { phase: Phase::Closed, rest: Duration::ZERO, since: now, in_a_row: 0, failures: 0, successes: 0 }
    }

    /// What a call would be told now. A probe is taken by [`probe`](Self::probe).
    pub fn leave(&self, now: Instant) -> Leave {
        match self.phase {
            Phase::Closed => Leave::Free,
            Phase::Open { until } if now < until => Leave::Rest { until },
            Phase::Open { .. } => Leave::Probe,
            Phase::Probing => Leave::Rest { until: now + PROBE_PATIENCE },
        }
    }

    /// From now on one call decides.
    pub const fn probe(&mut self) {
        self.phase = Phase::Probing;
    }

    /// The probe ended and says nothing: the next call is another.
    pub const fn probe_again(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Probing) {
            self.phase = Phase::Open { until: now };
        }
    }

    pub fn is_probing(&self) -> bool {
        self.phase == Phase::Probing
    }

    /// Nothing is remembered.
    pub fn is_quiet(&self) -> bool {
        self.phase == Phase::Closed && self.failures == 0
    }

    /// A call ended well. Those that began before the breaker opened change nothing.
    pub fn succeeded(&mut self, is_probe: bool, terms: &Terms, now: Instant) -> Change {
        match self.phase {
            Phase::Probing if is_probe => {
                *self = Self::new(now);
                Change::Closed
            }
            Phase::Closed => {
                self.in_a_row = 0;
                self.successes = self.successes.saturating_add(1);
                if self.is_over(terms, now) {
                    *self = Self::new(now);
                }
                Change::None
            }
            Phase::Open { .. } | Phase::Probing => Change::None,
        }
    }

    /// A call failed. `rest`: how long the first rest is.
    pub fn failed(&mut self, is_probe: bool, rest: Duration, terms: &Terms, now: Instant) -> Change {
        match self.phase {
            Phase::Probing if is_probe => {
                let next = self.rest.saturating_mul(2).max(rest);
                self.open(next, terms, now)
            }
            Phase::Closed => {
                // A window begins with a failure. Those in a row count on: nothing has gone well in between.
                if self.failures == 0 || self.is_over(terms, now) {
                    *self = Self { in_a_row: self.in_a_row, ..Self::new(now) };
                }
                self.in_a_row = self.in_a_row.saturating_add(1);
                self.failures = self.failures.saturating_add(1);
                if self.is_too_much(terms) { self.open(rest, terms, now) } else { Change::None }
            }
            Phase::Open { .. } | Phase::Probing => Change::None,
        }
    }

    fn is_over(&self, terms: &Terms, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > terms.window
    }

    fn is_too_much(&self, terms: &Terms) -> bool {
        if terms.failures == 0 {
            return false;
        }
        let outcomes = self.failures.saturating_add(self.successes);
        let share = u64::from(self.failures) * 100 >= u64::from(terms.failure_percent) * u64::from(outcomes);
        self.in_a_row >= terms.failures || (outcomes >= OUTCOMES_LEAST && share)
    }

    fn open(&mut self, rest: Duration, terms: &Terms, now: Instant) -> Change {
        let rest = rest.min(terms.rest_max);
        *self = Self { phase: Phase::Open { until: now + rest }, rest, ..Self::new(now) };
        Change::Opened { rest }
    }
}
