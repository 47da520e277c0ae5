//! What keys and trials use, counted in memory and written in batches.
//!
//! A meter counts with atomics. The first count after a flush puts the meter on the list of the next one, so a busy key
//! takes the list's lock once per flush. A batch that could not be written is counted again.

use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tollgate_domain::{KeyId, UserId};
use tollgate_store::api_keys::{self, KeyUse};
use tollgate_store::users::{self, TrialUse};
use tollgate_store::{Store, StoreError};

/// Counts one key's requests.
pub(super) struct KeyMeter(Arc<KeyCounts>);

struct KeyCounts {
    key: KeyId,
    /// The database's count for a capped key (it counts those itself), else this replica's best knowledge.
    used: AtomicI64,
    capped: bool,
    pending: AtomicI64,
    /// Milliseconds since 1970.
    last_used_ms: AtomicI64,
    listed: AtomicBool,
}

impl KeyMeter {
    pub(super) fn new(key: KeyId, used: i64, capped: bool) -> Self {
        Self(Arc::new(KeyCounts {
            key,
            used: AtomicI64::new(used),
            capped,
            pending: AtomicI64::new(0),
            last_used_ms: AtomicI64::new(0),
            listed: AtomicBool::new(false),
        }))
    }

    pub(super) fn requests_used(&self) -> i64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// What the database says of a capped key.
    pub(super) fn set_used(&self, used: i64) {
        self.0.used.store(used, Ordering::Relaxed);
    }
}

/// Counts one user's trial, over all keys of the user.
pub(super) struct TrialMeter {
    user: UserId,
    known_tokens: AtomicI64,
    known_requests: AtomicI64,
    pending_tokens: AtomicI64,
    pending_requests: AtomicI64,
    listed: AtomicBool,
}

impl TrialMeter {
    pub(super) const fn new(user: UserId) -> Self {
        Self {
            user,
            known_tokens: AtomicI64::new(0),
            known_requests: AtomicI64::new(0),
            pending_tokens: AtomicI64::new(0),
            pending_requests: AtomicI64::new(0),
            listed: AtomicBool::new(false),
        }
    }

    /// Totals that the database says; they only rise.
    pub(super) fn learn(&self, tokens: i64, requests: i64) {
        self.known_tokens.fetch_max(tokens, Ordering::Relaxed);
        self.known_requests.fetch_max(requests, Ordering::Relaxed);
    }

    pub(super) fn tokens(&self) -> i64 {
        self.known_tokens.load(Ordering::Relaxed).saturating_add(self.pending_tokens.load(Ordering::Relaxed))
    }

    pub(super) fn requests(&self) -> i64 {
        self.known_requests.load(Ordering::Relaxed).saturating_add(self.pending_requests.load(Ordering::Relaxed))
    }
}

/// The meters that have something to write.
#[derive(Default)]
pub(super) struct Meters {
    keys: Mutex<Vec<Arc<KeyCounts>>>,
    trials: Mutex<Vec<Arc<TrialMeter>>>,
    /// One flush at a time, so that a drain waits for the one under way.
    flushing: tokio::sync::Mutex<()>,
}

impl Meters {
    /// A request with the key at that time; `counted` when it counts as one of the key's requests.
    pub(super) fn key_used(&self, meter: &KeyMeter, counted: bool, at: DateTime<Utc>) {
        let counts = &meter.0;
        counts.last_used_ms.fetch_max(at.timestamp_millis(), Ordering::Relaxed);
        // A capped key's requests are counted by the database when they are taken.
        if counted && !counts.capped {
            counts.used.fetch_add(1, Ordering::Relaxed);
            counts.pending.fetch_add(1, Ordering::Relaxed);
        }
        list(&self.keys, counts, &counts.listed);
    }

    /// What a trial has used; negative to take back.
    pub(super) fn trial_used(&self, meter: &Arc<TrialMeter>, tokens: i64, requests: i64) {
        meter.pending_tokens.fetch_add(tokens, Ordering::Relaxed);
        meter.pending_requests.fetch_add(requests, Ordering::Relaxed);
        list(&self.trials, meter, &meter.listed);
    }

    /// Writes what is counted: one statement for all keys, one for all trials.
    ///
    /// # Errors
    /// What could not be written is counted again, for the next flush.
    pub(super) async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let _one_at_a_time = self.flushing.lock().await;
        self.flush_keys(store).await?;
        self.flush_trials(store).await
    }

    async fn flush_keys(&self, store: &Store) -> Result<(), StoreError> {
        let meters = take(&self.keys);
        if meters.is_empty() {
            return Ok(());
        }
        // A key that was read anew has two meters for a while, and may stand in the statement once.
        let mut sums: HashMap<KeyId, KeyUse> = HashMap::with_capacity(meters.len());
        let mut taken = Vec::with_capacity(meters.len());
        for meter in &meters {
            meter.listed.store(false, Ordering::Release);
            let requests = meter.pending.swap(0, Ordering::AcqRel);
            let at = DateTime::from_timestamp_millis(meter.last_used_ms.load(Ordering::Relaxed)).unwrap_or_default();
            let sum = sums.entry(meter.key).or_insert(KeyUse { key: meter.key, requests: 0, last_used_at: at });
            sum.requests = sum.requests.saturating_add(requests);
            sum.last_used_at = sum.last_used_at.max(at);
            taken.push((meter, requests));
        }
        let written = api_keys::add_use(store, &sums.into_values().collect::<Vec<_>>()).await;
        if written.is_err() {
            // Mutant: without this loop `counts_survive_a_database_that_is_away_and_known_keys_are_still_known` is red.
            for (meter, requests) in taken {
                meter.pending.fetch_add(requests, Ordering::Relaxed);
                list(&self.keys, meter, &meter.listed);
            }
        }
        written
    }

    async fn flush_trials(&self, store: &Store) -> Result<(), StoreError> {
        let meters: HashMap<UserId, _> = take(&self.trials).into_iter().map(|meter| (meter.user, meter)).collect();
        if meters.is_empty() {
            return Ok(());
        }
        let used: Vec<TrialUse> = meters
            .values()
            .map(|meter| {
                meter.listed.store(false, Ordering::Release);
                let tokens = meter.pending_tokens.load(Ordering::Acquire);
                TrialUse { user: meter.user, tokens, requests: meter.pending_requests.load(Ordering::Acquire) }
            })
            .collect();
        let totals = users::add_trial_use(store, &used).await;
        for written in totals.as_deref().unwrap_or_default() {
            if let Some(meter) = meters.get(&written.user) {
                meter.learn(written.tokens, written.requests);
            }
        }
        for used in &used {
            let Some(meter) = meters.get(&used.user) else { continue };
            if totals.is_ok() {
                // Known first, pending after: for a moment it counts double, never too little.
                meter.pending_tokens.fetch_sub(used.tokens, Ordering::AcqRel);
                meter.pending_requests.fetch_sub(used.requests, Ordering::AcqRel);
            } else {
                list(&self.trials, meter, &meter.listed);
            }
        }
        totals.map(drop)
    }
}

fn list<T>(meters: &Mutex<Vec<Arc<T>>>, meter: &Arc<T>, listed: &AtomicBool) {
    if !listed.swap(true, Ordering::AcqRel) {
        meters.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(meter));
    }
}

fn take<T>(meters: &Mutex<Vec<Arc<T>>>) -> Vec<Arc<T>> {
    std::mem::take(&mut *meters.lock().unwrap_or_else(PoisonError::into_inner))
}
