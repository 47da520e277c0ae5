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
//!   under way and addresses are each replica's own.
//! - **Bounds**: 4,096 readings under way; users and keys that rest for a minute are forgotten once they are written; only
//!   keys that exist are counted; 100,000 addresses a minute.
//! - **A restart** of the actor loses nothing. A crash of the process loses the counts of the last second, and the state of
//!   bursts and addresses; an orderly end only the latter.

mod accounts;
mod actor;
mod addresses;
mod alerts;
mod bucket;
mod permit;
mod refusal;
mod rules;
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
pub use rules::Rules;
pub use table::LimitTable;
pub use usage::{Left, Usage};
pub use window::{Use, WindowKind};

use crate::identity::{Caller, RateLimits};
use crate::ports::Clock;
use crate::runtime::{self, AskError, Handle, Supervision};
use accounts::{Accounts, Ask, Verdict};
use actix_rt::ArbiterHandle;
use actor::{LimiterActor, Load};
use addresses::Addresses;
use alerts::Alerts;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use sync::Outbox;
use tollgate_domain::{KeyId, UserId};
use uuid::Uuid;

/// Readings of keys under way.
const CAPACITY: usize = 4_096;
/// A key's counts are read once, or twice when they were forgotten in between.
const READINGS_MAX: usize = 3;

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
}

/// Starts the limiter on that arbiter.
pub fn start(arbiter: &ArbiterHandle, supervision: &Supervision, options: LimiterOptions, deps: LimiterDeps) -> Limiter {
    let LimiterDeps { table, clock, io, run } = deps;
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
        let (user, key) = (caller.user, caller.key);
        for attempt in 0..READINGS_MAX {
            let now = self.shared.clock.now();
            let ask = Ask {
                user,
                key,
                rules: self.rules(caller),
                tokens,
                trial: caller.trial.as_ref(),
                now,
                // Read a moment ago: that must do.
                others: attempt == 0 && self.shared.has_others.load(Ordering::Relaxed),
            };
            match self.shared.accounts.admit(&ask) {
                Verdict::Admitted(trial) => return Ok(self.permit(&ask, trial)),
                Verdict::Refused(refusal) => {
                    self.shared.alerts.note(user, key, &refusal, now);
                    return Err(refusal);
                }
                Verdict::Unknown => self.load(user, key).await,
            }
        }
        // Only a memory that forgets at once comes here. Calls are better served than refused for that.
        failed_open();
        let shared = Arc::clone(&self.shared);
        Ok(Permit { shared, user, key, tokens, counted_s: 0, trial: None, is_settled: false, is_counted: false })
    }

    fn permit(&self, ask: &Ask<'_>, trial: Option<crate::identity::TrialSlot>) -> Permit {
        Permit {
            shared: Arc::clone(&self.shared),
            user: ask.user,
            key: ask.key,
            tokens: ask.tokens,
            counted_s: ask.now.timestamp(),
            trial,
            is_settled: false,
            is_counted: true,
        }
    }

    /// What the caller's key has used of its limits.
    pub async fn usage(&self, caller: &Caller) -> Option<Usage> {
        self.usage_of(caller.user, caller.key, &caller.limits).await
    }

    /// What one of the user's keys has used of these limits; read from the table when memory does not have it.
    pub async fn usage_of(&self, user: UserId, key: KeyId, limits: &RateLimits) -> Option<Usage> {
        for _ in 0..READINGS_MAX {
            let now_ms = self.shared.clock.now().timestamp_millis();
            let usage = self.shared.accounts.usage(user, key, limits, now_ms);
            if usage.is_some() {
                return usage;
            }
            self.load(user, key).await;
        }
        None
    }

    /// The rules that bind a caller now.
    #[must_use]
    pub fn rules(&self, caller: &Caller) -> Rules {
        Rules::of(caller, &self.shared.options.defaults, self.shared.options.plans_limit, self.shared.clock.now())
    }

    /// Counts a request of a client address; `None` when addresses are not limited.
    #[must_use]
    pub fn admit_address(&self, address: IpAddr) -> Option<AddressLeft> {
        self.shared.addresses.admit(address, self.shared.clock.now().timestamp())
    }

    /// Has the table read, if need be; without an answer counting begins at nothing.
    async fn load(&self, user: UserId, key: KeyId) {
        if self.handle.ask(Load { user, key }).await.is_err() {
            failed_open();
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

fn failed_open() {
    metrics::counter!("tollgate_limiter_failed_open_total").increment(1);
}
