//! The limiter over a table in memory, with a clock that the tests turn.

mod decisions;
mod replicas;
mod standing;

use super::*;
use crate::identity::tests::{NOON, caller};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use tollgate_store::StoreError;
use tollgate_store::limit_counters::{CounterRow, Subject, WindowCount, Written};
use tollgate_store::rate_limit_alerts::NewAlert;

/// The tables: they can be away, lose an answer, and count who reads.
#[derive(Default)]
struct Tables {
    rows: Mutex<HashMap<Subject, CounterRow>>,
    writers: Mutex<HashMap<Uuid, i64>>,
    alerts: Mutex<Vec<NewAlert>>,
    is_away: AtomicBool,
    loses_answers: AtomicBool,
    readings: AtomicUsize,
}

fn away() -> StoreError {
    StoreError::Unavailable("away".to_owned())
}

impl Tables {
    fn add_row(&self, delta: &CounterRow) {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.entry(delta.subject).or_insert(CounterRow {
            windows: delta.windows.map(|window| WindowCount { requests: 0, tokens: 0, ..window }),
            ..*delta
        });
        for (window, delta) in row.windows.iter_mut().zip(delta.windows) {
            if window.start < delta.start {
                *window = delta;
            } else if window.start == delta.start {
                window.requests += delta.requests;
                window.tokens += delta.tokens;
            }
        }
    }

    fn totals(&self, subjects: impl Iterator<Item = Subject>) -> Vec<CounterRow> {
        let rows = self.rows.lock().unwrap();
        subjects.filter_map(|subject| rows.get(&subject).copied()).collect()
    }
}

impl LimitTable for Tables {
    fn read<'a>(&'a self, subjects: &'a [Subject]) -> BoxFuture<'a, Result<Vec<CounterRow>, StoreError>> {
        self.readings.fetch_add(1, Ordering::SeqCst);
        let found = if self.is_away.load(Ordering::SeqCst) { Err(away()) } else { Ok(self.totals(subjects.iter().copied())) };
        async move {
            tokio::task::yield_now().await;
            found
        }
        .boxed()
    }

    fn add<'a>(&'a self, writer: Uuid, sequence: i64, rows: &'a [CounterRow]) -> BoxFuture<'a, Result<Written, StoreError>> {
        if self.is_away.load(Ordering::SeqCst) {
            return async { Err(away()) }.boxed();
        }
        let last = self.writers.lock().unwrap().insert(writer, sequence);
        if last.is_none_or(|last| last < sequence) {
            rows.iter().for_each(|row| self.add_row(row));
        }
        let others = i64::try_from(self.writers.lock().unwrap().len()).unwrap() - 1;
        let totals = self.totals(rows.iter().map(|row| row.subject));
        let is_lost = self.loses_answers.load(Ordering::SeqCst);
        async move { if is_lost { Err(away()) } else { Ok(Written { totals, others }) } }.boxed()
    }

    fn alert<'a>(&'a self, alerts: &'a [NewAlert]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.alerts.lock().unwrap().extend_from_slice(alerts);
        async { Ok(()) }.boxed()
    }

    fn prune(&self, _: DateTime<Utc>, _: DateTime<Utc>) -> BoxFuture<'_, Result<usize, StoreError>> {
        async { Ok(0) }.boxed()
    }
}

/// Stands until it is turned.
#[derive(Default)]
struct StillClock(Mutex<TimeDelta>);

impl StillClock {
    fn advance(&self, by: TimeDelta) {
        let mut ahead = self.0.lock().unwrap();
        *ahead += by;
    }
}

impl Clock for StillClock {
    fn now(&self) -> DateTime<Utc> {
        NOON + *self.0.lock().unwrap()
    }
}

struct Bench {
    limiter: Limiter,
    tables: Arc<Tables>,
    clock: Arc<StillClock>,
}

impl Bench {
    /// A replica of its own on these tables.
    fn with(tables: &Arc<Tables>, clock: &Arc<StillClock>, options: LimiterOptions) -> Self {
        let supervision = Supervision { policy: runtime::RestartPolicy::default(), on_exhausted: Arc::new(|_| ()) };
        let deps = LimiterDeps {
            table: tables.clone(),
            clock: clock.clone(),
            io: tokio::runtime::Handle::current(),
            run: Uuid::new_v4(),
            shared: None,
        };
        let limiter = start(&actix_rt::Arbiter::current(), &supervision, options, deps);
        Self { limiter, tables: Arc::clone(tables), clock: Arc::clone(clock) }
    }

    /// Of so many calls of so many tokens, how many are let through. They end at once, and are charged as admitted.
    async fn admitted(&self, caller: &Caller, calls: usize, tokens: i64) -> usize {
        let mut admitted = 0;
        for _ in 0..calls {
            if let Ok(permit) = self.limiter.admit(caller, tokens).await {
                keep(permit);
                admitted += 1;
            }
        }
        admitted
    }
}

/// Ends a call that used what it was admitted with.
fn keep(mut permit: Permit) {
    let tokens = permit.tokens;
    permit.correct(tokens);
}

/// No limit but those that a test sets.
const WIDE: RateLimits = RateLimits {
    requests_per_minute: 1_000_000_000,
    requests_per_hour: 1_000_000_000,
    requests_per_day: 1_000_000_000,
    tokens_per_minute: 1_000_000_000,
    tokens_per_hour: 1_000_000_000,
    tokens_per_day: 1_000_000_000,
    burst: 1_000_000_000,
    concurrency: 1_000_000_000,
};

/// A bench that has no limits but the key's.
fn wide_bench() -> Bench {
    Bench::with(&Arc::default(), &Arc::default(), WIDE_OPTIONS)
}

const WIDE_OPTIONS: LimiterOptions = LimiterOptions { defaults: WIDE, address_per_minute: 0, plans_limit: false };

fn limited(limits: RateLimits) -> Caller {
    let mut caller = caller(|_| ());
    caller.limits = limits;
    caller
}

/// Another key of the same user.
fn with_key(key: i64, mut caller: Caller) -> Caller {
    caller.key = KeyId(key);
    caller
}

/// Another user, with a key of the same number.
fn with_user(user: i64, mut caller: Caller) -> Caller {
    caller.user = UserId(user);
    with_key(user, caller)
}
