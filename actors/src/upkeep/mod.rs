//! Upkeep: what has to be done now and then and no request should wait for.
//!
//! - **Owns** nothing but its rhythm: every [`FOLD_EVERY`] history is folded into the totals of credits and the sums of activity, every [`HEAD_EVERY`] the
//!   head of the audit trail is written down outside the database, every [`PRUNE_EVERY`] what is past its time is forgotten and
//!   what deleted accounts have left behind. Every piece of work is a short statement of its own, safe to cut off and to do twice, so any
//!   number of replicas may be at it.
//! - **A restart** loses nothing: the next look does what was left.

mod actor;
mod chores;
mod heads;

pub use actor::UpkeepActor;

use crate::ports::Clock;
use crate::runtime::{self, Handle, Supervision};
use actix_rt::ArbiterHandle;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tollgate_store::Store;

/// Totals read what came since the last fold row by row: a few seconds of calls.
pub const FOLD_EVERY: Duration = Duration::from_secs(5);
/// A chain that is cut or made anew is found out from the last head on that is written down elsewhere.
pub const HEAD_EVERY: Duration = Duration::from_secs(60);
/// Nobody waits for what is forgotten.
pub const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// The mailbox carries drains and crashes only.
const MAILBOX: usize = 16;

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// What the activity log shows, in days. Calls stay in the books, and all sums stay.
    pub activity_days: u32,
    /// Holds that cost nothing, in days.
    pub unpaid_hold_days: u32,
}

impl Retention {
    /// The first UTC day that the activity log shows.
    #[must_use]
    pub fn activity_since(&self, now: DateTime<Utc>) -> NaiveDate {
        before(now, self.activity_days).date_naive()
    }
}

fn before(now: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    now.checked_sub_signed(TimeDelta::days(i64::from(days))).unwrap_or(DateTime::UNIX_EPOCH)
}

/// What upkeep works with.
pub struct UpkeepDeps {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub retention: Retention,
    /// Where `audit.heads` is kept.
    pub data_dir: PathBuf,
}

/// Starts it.
pub fn start(arbiter: &ArbiterHandle, supervision: &Supervision, deps: UpkeepDeps) -> Handle<UpkeepActor> {
    let deps = Arc::new(deps);
    runtime::start(arbiter, "upkeep", MAILBOX, supervision, move |_| UpkeepActor::new(deps))
}
