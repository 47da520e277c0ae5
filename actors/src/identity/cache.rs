//! The callers that are known, by the HMAC of their key; never by the key.

use super::caller::Caller;
use super::freshness::{Freshness, Moment};
use super::keys::KeyHash;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;

/// Callers held: some 2 KiB each, so 200 MiB at the very most; least used ones go first.
const CALLERS_MAX: u64 = 100_000;

/// What is left of a caller whom nobody can read anew: after this a database that is away makes them unknown.
const KEPT: Duration = Duration::from_secs(600);

/// Unknown keys held, so that a client in a loop does not ask the database each time.
const UNKNOWN_MAX: u64 = 20_000;

/// How long an unknown key stays unknown without asking.
const UNKNOWN_KEPT: Duration = Duration::from_secs(2);

/// A caller, and when the reading of them began.
#[derive(Clone)]
struct Known {
    caller: Arc<Caller>,
    read_at: Moment,
}

/// What the cache says of a key.
pub(super) enum Found {
    /// To be believed.
    Caller(Arc<Caller>),
    /// To be read anew; this is what there is if that fails.
    Stale(Arc<Caller>),
    /// No such key, as of a moment ago.
    Unknown,
    Nothing,
}

pub(super) struct CallerCache {
    callers: Cache<KeyHash, Known>,
    unknown: Cache<KeyHash, ()>,
    pub(super) freshness: Freshness,
}

impl CallerCache {
    pub(super) fn new() -> Self {
        Self {
            callers: Cache::builder().max_capacity(CALLERS_MAX).time_to_live(KEPT).build(),
            unknown: Cache::builder().max_capacity(UNKNOWN_MAX).time_to_live(UNKNOWN_KEPT).build(),
            freshness: Freshness::new(),
        }
    }

    pub(super) fn get(&self, hash: &KeyHash) -> Found {
        match self.callers.get(hash) {
            Some(known) if self.freshness.believes(known.caller.user, known.read_at) => Found::Caller(known.caller),
            Some(known) => Found::Stale(known.caller),
            None if self.unknown.contains_key(hash) => Found::Unknown,
            None => Found::Nothing,
        }
    }

    /// What a reading that began at `read_at` found.
    pub(super) fn put(&self, hash: KeyHash, found: Option<Arc<Caller>>, read_at: Moment) {
        match found {
            Some(caller) => self.callers.insert(hash, Known { caller, read_at }),
            None => {
                self.callers.invalidate(&hash);
                self.unknown.insert(hash, ());
            }
        }
    }
}
