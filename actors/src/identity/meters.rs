//! What keys and trials use, counted in memory and written in batches.
//!
//! A meter counts with atomics. The first count after a flush puts the meter on the list of the next one, so a busy key
//! takes the list's lock once per flush. A batch that could not be written is counted again.

use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// Counts one user's trial, over all keys of the user. One lock, so that what is left is exact at every moment.
pub(super) struct TrialMeter {
    user: UserId,
    counts: Mutex<TrialCounts>,
    listed: AtomicBool,
}

#[derive(Clone, Copy, Default)]
struct TrialCounts {
    /// What the database says.
    known: Spent,
    /// What it does not know yet.
    pending: Spent,
    /// What calls under way may come to.
    reserved: Spent,
    /// The pending part is on its way: what the database says now may hold it already.
    is_flushing: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub tokens: i64,
    pub requests: i64,
}

impl Spent {
    const fn plus(self, other: Self) -> Self {
        Self { tokens: self.tokens.saturating_add(other.tokens), requests: self.requests.saturating_add(other.requests) }
    }

    const fn minus(self, other: Self) -> Self {
        Self { tokens: self.tokens.saturating_sub(other.tokens), requests: self.requests.saturating_sub(other.requests) }
    }
}

impl TrialMeter {
    pub(super) fn new(user: UserId) -> Self {
        Self { user, counts: Mutex::default(), listed: AtomicBool::new(false) }
    }

    fn counts(&self) -> MutexGuard<'_, TrialCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Totals that the database says; they only rise.
    pub(super) fn learn(&self, tokens: i64, requests: i64) {
        let mut counts = self.counts();
        if !counts.is_flushing {
            counts.known.tokens = counts.known.tokens.max(tokens);
            counts.known.requests = counts.known.requests.max(requests);
        }
    }

    /// What is used, and what calls under way may come to.
    pub(super) fn spent(&self) -> Spent {
        let counts = self.counts();
        counts.known.plus(counts.pending).plus(counts.reserved)
    }

    /// Sets a call's part aside if it fits below `most`; else says what is spent.
    pub(super) fn reserve(&self, part: Spent, most: Spent) -> Result<(), Spent> {
        let mut counts = self.counts();
        let spent = counts.known.plus(counts.pending).plus(counts.reserved);
        let after = spent.plus(part);
        if after.tokens > most.tokens || after.requests > most.requests {
            return Err(spent);
        }
        counts.reserved = counts.reserved.plus(part);
        Ok(())
    }

    /// Ends a reservation without use.
    pub(super) fn give_back(&self, part: Spent) {
        let mut counts = self.counts();
        counts.reserved = counts.reserved.minus(part);
    }

    /// Ends a reservation with what was really used.
    fn settle(&self, reserved: Spent, used: Spent) {
        let mut counts = self.counts();
        counts.reserved = counts.reserved.minus(reserved);
        counts.pending = counts.pending.plus(used);
    }

    fn take_pending(&self) -> TrialUse {
        let mut counts = self.counts();
        counts.is_flushing = true;
        TrialUse { user: self.user, tokens: counts.pending.tokens, requests: counts.pending.requests }
    }

    /// The flush has ended: `total` is what the database says now, `None` when nothing was written.
    fn flushed(&self, sent: TrialUse, total: Option<Spent>) {
        let mut counts = self.counts();
        counts.is_flushing = false;
        if let Some(total) = total {
            counts.pending = counts.pending.minus(Spent { tokens: sent.tokens, requests: sent.requests });
            counts.known = total;
        }
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
        self.trial_settled(meter, Spent::default(), Spent { tokens, requests });
    }

    /// What a trial has used of what was set aside for a call.
    pub(super) fn trial_settled(&self, meter: &Arc<TrialMeter>, reserved: Spent, used: Spent) {
        meter.settle(reserved, used);
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
        let mut used = Vec::with_capacity(meters.len());
        for meter in meters.values() {
            meter.listed.store(false, Ordering::Release);
            used.push(meter.take_pending());
        }
        let totals = users::add_trial_use(store, &used).await;
        let written: HashMap<UserId, Spent> =
            totals.iter().flatten().map(|total| (total.user, Spent { tokens: total.tokens, requests: total.requests })).collect();
        for sent in used {
            let Some(meter) = meters.get(&sent.user) else { continue };
            meter.flushed(sent, written.get(&sent.user).copied());
            if totals.is_err() {
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
