//! The limiter: how much a key, a user and an address may ask for.
//!
//! - **Owns** the counts of requests and tokens per minute, hour, day and month (fixed UTC windows), the buckets of bursts, the
//!   calls under way, and the alerts of who was refused.
//! - **Decides** in memory, under one short lock, over all limits of a call at once: a refusal counts nothing anywhere. On
//!   one replica that is exact, however many ask at the same time. Nothing waits for a message but the first call of a key.
//! - **Counts** a call when it is admitted, with what it may come to; the settle puts the real tokens in that place. A call
//!   that is not charged gives its tokens back, and its request out of the day and the month, which are allowances; minute
//!   and hour, which guard the server, keep it.
//! - **Replicas** meet in the table `limit_counters`: each second the fresh counts go there, and the totals of all come back. A
//!   count that was not heard of for two seconds is read again before it is believed, when there are others. Bursts, calls
//!   under way and addresses are each replica's own. With [`SharedCounters`] (Redis) windows and bursts are exact over all
//!   replicas at every moment; the table goes on as memory and as what is left when Redis does not answer.
//! - **Bounds**: 4,096 readings under way; users and keys that rest for a minute are forgotten once they are written; only
//!   keys that exist are counted; 100,000 addresses a minute.
//! - **A restart** of the actor loses nothing. A crash of the process loses the counts of the last second, and the state of
//!   bursts and addresses; an orderly end only the latter.

mod accounts;
mod actor;
mod addresses;
mod alerts;
mod bucket;
mod elsewhere;
mod permit;
mod refusal;
mod rules;
mod shared;
mod sync;
mod table;
mod tally;
mod usage;
mod window;

#[cfg(test)]
mod tests;

pub use addresses::AddressLeft;
pub use permit::Permit;
pub use refusal::{Measure, Refusal, Scope};
pub use shared::{Cell, CounterName, SharedAsk, SharedCounters, SharedError, SharedVerdict};
pub use table::LimitTable;
pub use usage::{Left, Standing, Usage};
pub use window::{Use, WindowKind};

use crate::identity::{Caller, RateLimits};
use crate::ports::Clock;
use crate::runtime::{self, AskError, Handle, Supervision};
use accounts::{Accounts, Ask, Verdict};
use actix_rt::ArbiterHandle;
use actor::{LimiterActor, Load};
use addresses::Addresses;
use alerts::Alerts;
use chrono::{DateTime, Utc};
use permit::Stage;
use rules::Rules;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use sync::Outbox;
use tally::Tally;
use tollgate_domain::{KeyId, UserId};
use uuid::Uuid;

/// Readings of keys under way.
const CAPACITY: usize = 4_096;
/// A key's counts are read once, or twice when they were forgotten in between.
const READINGS_MAX: usize = 3;
/// No call comes to less.
const LEAST_TOKENS: i64 = 1;

/// The settings.
#[derive(Clone, Copy, Debug)]
pub struct LimiterOptions {
    /// Of keys without limits of their own, and of users over all keys.
    pub defaults: RateLimits,
    /// Requests of one client address, at all doors; 0 = no limit.
    pub address_per_minute: i64,
    /// False: what plans say of limits is not enforced.
    pub plans_limit: bool,
}

/// What the limiter works with.
pub struct LimiterDeps {
    /// The store, outside tests.
    pub table: Arc<dyn LimitTable>,
    pub clock: Arc<dyn Clock>,
    /// Where counts are written.
    pub io: tokio::runtime::Handle,
    /// A random id of this run.
    pub run: Uuid,
    /// Where replicas decide together; `None`: each by itself, with what the table says of the others.
    pub shared: Option<Arc<dyn SharedCounters>>,
}

/// The handle: the counts themselves, and the way to the actor.
#[derive(Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
    handle: Handle<LimiterActor>,
}

/// What the handle, the permits and the actor share.
struct Shared {
    table: Arc<dyn LimitTable>,
    clock: Arc<dyn Clock>,
    io: tokio::runtime::Handle,
    options: LimiterOptions,
    accounts: Accounts,
    addresses: Addresses,
    alerts: Alerts,
    outbox: tokio::sync::Mutex<Outbox>,
    /// Other replicas count on the same table.
    has_others: AtomicBool,
    counters: Option<Arc<dyn SharedCounters>>,
    /// Until then the place outside is not asked.
    away_until_ms: AtomicI64,
}

/// Starts the limiter on that arbiter.
pub fn start(arbiter: &ArbiterHandle, supervision: &Supervision, options: LimiterOptions, deps: LimiterDeps) -> Limiter {
    let LimiterDeps { table, clock, io, run, shared: counters } = deps;
    let shared = Arc::new(Shared {
        table,
        clock,
        io,
        options,
        accounts: Accounts::new(),
        addresses: Addresses::new(options.address_per_minute),
        alerts: Alerts::default(),
        outbox: tokio::sync::Mutex::new(Outbox::new(run)),
        has_others: AtomicBool::new(false),
        counters,
        away_until_ms: AtomicI64::new(0),
    });
    let of_actor = Arc::clone(&shared);
    let handle = runtime::start(arbiter, "limiter", CAPACITY, supervision, |_| LimiterActor::new(of_actor));
    Limiter { shared, handle }
}

impl Limiter {
    /// Admits a call that may come to so many tokens, or says which limit is reached first. All or nothing.
    ///
    /// # Errors
    /// The refusal.
    pub async fn admit(&self, caller: &Caller, tokens: i64) -> Result<Permit, Refusal> {
        let admitted = self.decide(caller, tokens).await;
        if let Err(refusal) = &admitted {
            self.shared.alerts.note(caller.user, caller.key, refusal, self.shared.clock.now());
        }
        admitted
    }

    async fn decide(&self, caller: &Caller, tokens: i64) -> Result<Permit, Refusal> {
        let shared = &self.shared;
        for attempt in 0..READINGS_MAX {
            // Read a moment ago: that must do.
            let ask = self.ask(caller, tokens, attempt == 0 && shared.has_others.load(Ordering::Relaxed));
            let elsewhere = shared.elsewhere(ask.now);
            let (verdict, stage) = match elsewhere {
                None => (shared.accounts.admit(&ask), Stage::Counted),
                Some(_) => (shared.accounts.take_place(&ask), Stage::Placed),
            };
            match verdict {
                Verdict::Admitted(trial) => {
                    let permit = Permit::new(shared, &ask, trial, stage);
                    return match elsewhere {
                        None => Ok(permit),
                        Some(counters) => shared.count_elsewhere(counters, &ask, permit).await,
                    };
                }
                Verdict::Refused(refusal) => return Err(refusal),
                Verdict::Unknown => self.load(caller.user, caller.key).await,
            }
        }
        // Only a memory that forgets at once comes here. Calls are better served than refused for that.
        failed_open("memory");
        Ok(Permit::new(shared, &self.ask(caller, tokens, false), None, Stage::Unknown))
    }

    fn ask<'a>(&self, caller: &'a Caller, tokens: i64, others: bool) -> Ask<'a> {
        let now = self.shared.clock.now();
        let Caller { user, key, trial, .. } = caller;
        Ask { user: *user, key: *key, rules: self.rules(caller, now), tokens, trial: trial.as_ref(), now, others }
    }

    fn rules(&self, caller: &Caller, now: DateTime<Utc>) -> Rules {
        let options = &self.shared.options;
        Rules::of(caller, &options.defaults, options.plans_limit, now)
    }

    /// What is left to the caller.
    pub async fn standing(&self, caller: &Caller) -> Option<Standing> {
        let look = |key: &Tally, user: &Tally, now| Standing::of(&self.rules(caller, now), key, user);
        self.look(caller.user, caller.key, look).await
    }

    /// Which limit a call would be refused for now, however small it is. Counts nothing. Trials are not asked.
    pub async fn would_refuse(&self, caller: &Caller) -> Option<Refusal> {
        let look = |key: &Tally, user: &Tally, now: DateTime<Utc>| {
            self.rules(caller, now).check(key, user, LEAST_TOKENS, now.timestamp_millis()).err()
        };
        self.look(caller.user, caller.key, look).await.flatten()
    }

    /// What one of the user's keys has used.
    pub async fn usage(&self, user: UserId, key: KeyId) -> Option<Usage> {
        self.look(user, key, |key, user, _| Usage::of(key, user)).await
    }

    /// Looks at what a key and its user have used; the table is read when memory does not have it.
    async fn look<T>(&self, user: UserId, key: KeyId, look: impl Fn(&Tally, &Tally, DateTime<Utc>) -> T) -> Option<T> {
        for _ in 0..READINGS_MAX {
            let now = self.shared.clock.now();
            let seen = self.shared.accounts.look(user, key, now.timestamp_millis(), |key, user| look(key, user, now));
            if seen.is_some() {
                return seen;
            }
            self.load(user, key).await;
        }
        None
    }

    /// What is left to a client address; `None` when addresses are not limited.
    #[must_use]
    pub fn left_to_address(&self, address: IpAddr) -> Option<Left> {
        self.shared.addresses.look(address, self.shared.clock.now().timestamp())
    }

    /// Counts a request of a client address; `None` when addresses are not limited.
    #[must_use]
    pub fn admit_address(&self, address: IpAddr) -> Option<AddressLeft> {
        self.shared.addresses.admit(address, self.shared.clock.now().timestamp())
    }

    /// Has the table read, if need be; without an answer counting begins at nothing.
    async fn load(&self, user: UserId, key: KeyId) {
        if self.handle.ask(Load { user, key }).await.is_err() {
            failed_open("table");
            let accounts = &self.shared.accounts;
            accounts.learn(user, key, accounts.versions(user, key), &[], self.shared.clock.now().timestamp_millis());
        }
    }

    /// Writes what is counted now, without waiting for the next second.
    ///
    /// # Errors
    /// The table is away.
    pub async fn flush(&self) -> Result<(), tollgate_store::StoreError> {
        self.shared.flush().await
    }

    /// Makes the actor panic, for tests of the supervision.
    #[cfg(any(test, feature = "fault-injection"))]
    pub async fn crash(&self) {
        let _ = self.handle.ask(crate::runtime::Crash).await;
    }

    /// Writes every count, within that time.
    ///
    /// # Errors
    /// `Timeout` when the database did not take them.
    pub async fn drain(&self, limit: Duration) -> Result<(), AskError> {
        self.handle.drain(limit).await
    }
}

/// Counts a decision that was made with less than was to be known.
fn failed_open(missing: &'static str) {
    metrics::counter!("tollgate_limiter_failed_open_total", "missing" => missing).increment(1);
}
