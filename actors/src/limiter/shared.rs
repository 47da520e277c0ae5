//! Limits that all replicas decide on together, in one place outside: Redis, where the settings name one.
//!
//! Windows and bursts are decided there, all of a call's at once. Calls under way stay each replica's own: a lease on them
//! would outlive a crash. When the place does not answer in time, a replica decides by what it knows itself.

use super::refusal::{Measure, Refusal, Scope};
use super::rules::{Rules, windows, windows_of_plan};
use super::tally::Tally;
use super::window::{Use, WindowKind};
use futures_util::future::BoxFuture;
use std::fmt;
use tollgate_domain::{KeyId, UserId};

/// Where replicas decide together.
pub trait SharedCounters: Send + Sync {
    /// Counts the call if nothing is reached; all or nothing.
    ///
    /// # Errors
    /// The place is away, or slow.
    fn admit(&self, ask: SharedAsk) -> BoxFuture<'static, Result<SharedVerdict, SharedError>>;

    /// Takes back amounts, of counters that are still there.
    ///
    /// # Errors
    /// The place is away, or slow.
    fn take_back(&self, amounts: Vec<(CounterName, i64)>) -> BoxFuture<'static, Result<(), SharedError>>;
}

/// The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SharedError(pub String);

/// A counter of one window: `tollgate:{42}:key:7:minute:1800000000:requests`. The braces keep a user's counters together
/// where the place is a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterName {
    user: UserId,
    /// `None`: over all keys.
    key: Option<KeyId>,
    kind: WindowKind,
    start_s: i64,
    measure: Measure,
}

impl fmt::Display for CounterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tollgate:{{{}}}:", self.user)?;
        if let Some(key) = self.key {
            write!(f, "key:{key}:")?;
        }
        let kind = match self.kind {
            WindowKind::Minute => "minute",
            WindowKind::Hour => "hour",
            WindowKind::Day => "day",
            WindowKind::Month => "month",
        };
        let measure = if self.measure == Measure::Requests { "requests" } else { "tokens" };
        write!(f, "{kind}:{}:{measure}", self.start_s)
    }
}

/// One counter, one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub counter: CounterName,
    pub amount: i64,
    pub limit: i64,
    /// False: only compared; another cell counts.
    pub counts: bool,
    /// Seconds until the window ends.
    pub left_s: i64,
    /// What this replica knows to be used: where the counter begins if it is not there.
    pub floor: i64,
}

/// A call, as the place wants to have it.
#[derive(Clone, Debug)]
pub struct SharedAsk {
    /// `tollgate:{42}:key:7:burst`
    pub bucket: String,
    pub burst: i64,
    pub now_ms: i64,
    /// In the order in which they are checked.
    pub cells: Vec<Cell>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedVerdict {
    Admitted,
    Burst {
        wait_ms: i64,
    },
    /// The index of the first cell that is full.
    Full(usize),
}

/// More than any limit, and exact as a double, which is what scripts reckon with.
const NO_LIMIT: i64 = 1 << 53;

/// A call's cells, and what is said when one is full.
pub(super) struct Cells {
    user: UserId,
    key: KeyId,
    tokens: i64,
    now_ms: i64,
    pub cells: Vec<Cell>,
    pub refusals: Vec<Refusal>,
}

impl Cells {
    pub fn of(user: UserId, key: KeyId, rules: &Rules, tallies: (&Tally, &Tally), tokens: i64, now_ms: i64) -> Self {
        let mut cells = Self { user, key, tokens, now_ms, cells: Vec::with_capacity(18), refusals: Vec::with_capacity(18) };
        let both = [(Scope::Key, &rules.key, tallies.0), (Scope::User, &rules.user, tallies.1)];
        for measure in [Measure::Requests, Measure::Tokens] {
            for (scope, limits, tally) in both {
                for (kind, limit, window) in windows(limits, tally, measure) {
                    let is_hopeless = measure == Measure::Tokens && tokens > limit;
                    cells.push(scope, kind, measure, limit, true, window.used(), |wait_ms| Refusal::Window {
                        scope,
                        kind,
                        measure,
                        limit,
                        wait_ms,
                        is_hopeless,
                    });
                }
            }
        }
        for (kind, measure, limit, window) in windows_of_plan(rules.plan, tallies.1) {
            let environment = rules.environment;
            // The user's day is counted above already.
            let counts = kind == WindowKind::Month;
            cells.push(Scope::User, kind, measure, limit.min(NO_LIMIT), counts, window.used(), |wait_ms| Refusal::Plan {
                kind,
                measure,
                limit,
                environment,
                wait_ms,
            });
        }
        cells
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one row")]
    fn push(
        &mut self,
        scope: Scope,
        kind: WindowKind,
        measure: Measure,
        limit: i64,
        counts: bool,
        used: Use,
        refusal: impl FnOnce(i64) -> Refusal,
    ) {
        let now_s = self.now_ms.div_euclid(1_000);
        let (_, end_s) = kind.around(now_s);
        let key = (scope == Scope::Key).then_some(self.key);
        let (amount, floor) = match measure {
            Measure::Requests => (1, used.requests),
            Measure::Tokens => (self.tokens, used.tokens),
        };
        let counter = counter(self.user, key, kind, now_s, measure);
        self.cells.push(Cell { counter, amount, limit, counts, left_s: end_s - now_s, floor: floor.max(0) });
        self.refusals.push(refusal(end_s.saturating_mul(1_000).saturating_sub(self.now_ms)));
    }
}

fn counter(user: UserId, key: Option<KeyId>, kind: WindowKind, now_s: i64, measure: Measure) -> CounterName {
    CounterName { user, key, kind, start_s: kind.around(now_s).0, measure }
}

pub(super) fn bucket(user: UserId, key: KeyId) -> String {
    format!("tollgate:{{{user}}}:key:{key}:burst")
}

/// What a call gives back of what was counted at that moment: tokens of all windows and, when it came to nothing, its
/// request of the day and the month.
pub(super) fn returned(user: UserId, key: KeyId, counted_s: i64, tokens: i64, came_to_nothing: bool) -> Vec<(CounterName, i64)> {
    let kinds = [WindowKind::Minute, WindowKind::Hour, WindowKind::Day];
    let of_key = kinds.map(|kind| (Some(key), kind));
    let of_user = kinds.map(|kind| (None, kind));
    let all = of_key.into_iter().chain(of_user).chain([(None, WindowKind::Month)]);
    let mut amounts = Vec::new();
    for (key, kind) in all {
        if tokens != 0 {
            amounts.push((counter(user, key, kind, counted_s, Measure::Tokens), tokens));
        }
        if came_to_nothing && matches!(kind, WindowKind::Day | WindowKind::Month) {
            amounts.push((counter(user, key, kind, counted_s, Measure::Requests), 1));
        }
    }
    amounts
}
