//! The counts of all users and their keys, in memory. One look-up and one short lock admit a call: a user and the user's
//! keys stand in one entry, so whatever is decided is decided over all of them at once.

use super::refusal::Refusal;
use super::rules::Rules;
use super::shared::Cells;
use super::tally::Tally;
use crate::identity::{Trial, TrialSlot};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tollgate_domain::{KeyId, UserId};
use tollgate_store::limit_counters::{CounterRow, Subject};

/// Locks; users spread over them by their number.
const SHARDS: u8 = 64;
/// With other replicas about, what was last heard of the table is believed for so long; busy keys hear of it every second.
const BELIEVED_MS: i64 = 2_000;
/// A user or a key that rests so long is forgotten; its bucket is full again by then.
const IDLE_MS: i64 = 60_000;

/// One call that wants to be admitted.
pub(super) struct Ask<'a> {
    pub user: UserId,
    pub key: KeyId,
    pub rules: Rules,
    /// What it may come to.
    pub tokens: i64,
    pub trial: Option<&'a Trial>,
    pub now: DateTime<Utc>,
    /// Other replicas count on the same table.
    pub others: bool,
}

impl Ask<'_> {
    fn reserve_trial(&self) -> Result<Option<TrialSlot>, Refusal> {
        self.trial.map(|trial| trial.reserve(self.tokens, self.now)).transpose().map_err(Refusal::Trial)
    }

    fn begin(&self, key: &mut Tally, user: &mut Tally, now_ms: i64) {
        key.begin(now_ms);
        user.begin(now_ms);
    }

    fn count(&self, key: &mut Tally, user: &mut Tally, now_ms: i64) {
        key.bucket.take(self.rules.key.burst, now_ms);
        key.count(self.tokens);
        user.count(self.tokens);
    }
}

/// What came of it.
pub(super) enum Verdict {
    /// Counted; with what the trial has set aside.
    Admitted(Option<TrialSlot>),
    /// Nothing was counted.
    Refused(Refusal),
    /// The table must be read first.
    Unknown,
}

pub(super) struct Accounts {
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Default)]
struct Shard {
    accounts: HashMap<UserId, Account>,
    /// Those with fresh counts, each once.
    dirty: Vec<UserId>,
}

/// A user and the user's keys.
struct Account {
    user: Tally,
    keys: HashMap<KeyId, Tally>,
    is_dirty: bool,
}

impl Accounts {
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    fn shard(&self, user: UserId) -> Option<MutexGuard<'_, Shard>> {
        let index = usize::try_from(user.0.rem_euclid(i64::from(SHARDS))).ok()?;
        Some(lock(self.shards.get(index)?))
    }

    /// Decides, and counts if nothing is reached; all or nothing.
    pub fn admit(&self, ask: &Ask<'_>) -> Verdict {
        self.with_tallies(ask, |key, user, now_ms| {
            ask.rules.check(key, user, ask.tokens, now_ms)?;
            let trial = ask.reserve_trial()?;
            ask.begin(key, user, now_ms);
            ask.count(key, user, now_ms);
            Ok(trial)
        })
    }

    /// The first half of [`Accounts::admit`]: what this replica alone decides. What is counted is decided elsewhere.
    pub fn take_place(&self, ask: &Ask<'_>) -> Verdict {
        self.with_tallies(ask, |key, user, now_ms| {
            ask.rules.check_concurrency(key, user)?;
            let trial = ask.reserve_trial()?;
            ask.begin(key, user, now_ms);
            Ok(trial)
        })
    }

    /// The second half: counts, after a check of what is counted unless that was made elsewhere.
    pub fn count(&self, ask: &Ask<'_>, is_checked: bool) -> Verdict {
        self.with_tallies(ask, |key, user, now_ms| {
            if !is_checked {
                ask.rules.check_counts(key, user, ask.tokens, now_ms)?;
            }
            ask.count(key, user, now_ms);
            Ok(None)
        })
    }

    /// What to ask elsewhere.
    pub fn cells(&self, ask: &Ask<'_>) -> Option<Cells> {
        let now_ms = ask.now.timestamp_millis();
        let mut shard = self.shard(ask.user)?;
        let account = shard.accounts.get_mut(&ask.user)?;
        let key = account.keys.get_mut(&ask.key)?;
        key.roll(now_ms);
        account.user.roll(now_ms);
        Some(Cells::of(ask.user, ask.key, &ask.rules, (key, &account.user), ask.tokens, now_ms))
    }

    /// Runs a decision over both tallies, of the windows of now.
    fn with_tallies(
        &self,
        ask: &Ask<'_>,
        decide: impl FnOnce(&mut Tally, &mut Tally, i64) -> Result<Option<TrialSlot>, Refusal>,
    ) -> Verdict {
        let now_ms = ask.now.timestamp_millis();
        let Some(mut guard) = self.shard(ask.user) else { return Verdict::Unknown };
        let Shard { accounts, dirty } = &mut *guard;
        let Some(account) = accounts.get_mut(&ask.user) else { return Verdict::Unknown };
        let Some(key) = account.keys.get_mut(&ask.key) else { return Verdict::Unknown };
        if ask.others && now_ms - key.synced_ms.min(account.user.synced_ms) > BELIEVED_MS {
            return Verdict::Unknown;
        }
        key.roll(now_ms);
        account.user.roll(now_ms);
        match decide(key, &mut account.user, now_ms) {
            Ok(trial) => {
                note(account, dirty, ask.user);
                Verdict::Admitted(trial)
            }
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    /// Changes the counts of a call: of the key and of the user.
    pub fn change(&self, user: UserId, key: KeyId, mut change: impl FnMut(&mut Tally)) {
        let Some(mut guard) = self.shard(user) else { return };
        let Shard { accounts, dirty } = &mut *guard;
        let Some(account) = accounts.get_mut(&user) else { return };
        change(&mut account.user);
        if let Some(tally) = account.keys.get_mut(&key) {
            change(tally);
        }
        note(account, dirty, user);
    }

    /// Looks at the counts of a key and of its user, of the windows of now; `None` when the table must be read first.
    pub fn look<T>(&self, user: UserId, key: KeyId, now_ms: i64, look: impl FnOnce(&Tally, &Tally) -> T) -> Option<T> {
        let mut shard = self.shard(user)?;
        let account = shard.accounts.get_mut(&user)?;
        let tally = account.keys.get_mut(&key)?;
        tally.roll(now_ms);
        account.user.roll(now_ms);
        Some(look(tally, &account.user))
    }

    /// How much was heard of the table of that user and key, before it is read.
    pub fn versions(&self, user: UserId, key: KeyId) -> (u64, u64) {
        let Some(shard) = self.shard(user) else { return (0, 0) };
        let Some(account) = shard.accounts.get(&user) else { return (0, 0) };
        (account.user.version, account.keys.get(&key).map_or(0, |tally| tally.version))
    }

    /// What the table said, read when the versions were these. What has been heard since is newer.
    pub fn learn(&self, user: UserId, key: KeyId, versions: (u64, u64), rows: &[CounterRow], now_ms: i64) {
        let Some(mut shard) = self.shard(user) else { return };
        let new = || Tally::new(now_ms);
        let account =
            shard.accounts.entry(user).or_insert_with(|| Account { user: new(), keys: HashMap::new(), is_dirty: false });
        learn(&mut account.user, versions.0, Subject::User(user), rows, now_ms);
        let tally = account.keys.entry(key).or_insert_with(new);
        learn(tally, versions.1, Subject::Key(key), rows, now_ms);
    }

    /// Takes fresh counts for the table, those of at most about `rows_max` subjects.
    pub fn take_fresh(&self, rows_max: usize) -> Vec<(UserId, CounterRow)> {
        let mut rows = Vec::new();
        for shard in &self.shards {
            let mut guard = lock(shard);
            let Shard { accounts, dirty } = &mut *guard;
            while rows.len() < rows_max
                && let Some(user) = dirty.pop()
            {
                let Some(account) = accounts.get_mut(&user) else { continue };
                account.is_dirty = false;
                if account.user.has_fresh() {
                    rows.push((user, account.user.send(Subject::User(user))));
                }
                let keys = account.keys.iter_mut().filter(|(_, tally)| tally.has_fresh());
                rows.extend(keys.map(|(key, tally)| (user, tally.send(Subject::Key(*key)))));
            }
        }
        rows
    }

    /// What was taken has arrived; the table has these totals now.
    pub fn arrived(&self, user: UserId, total: &CounterRow, now_ms: i64) {
        let Some(mut shard) = self.shard(user) else { return };
        let Some(account) = shard.accounts.get_mut(&user) else { return };
        match total.subject {
            Subject::User(_) => account.user.arrived(total, now_ms),
            Subject::Key(key) => {
                if let Some(tally) = account.keys.get_mut(&key) {
                    tally.arrived(total, now_ms);
                }
            }
        }
    }

    /// Forgets who rests. Answers how many users are left.
    pub fn forget_idle(&self, now_ms: i64) -> usize {
        let before = now_ms - IDLE_MS;
        let mut left = 0;
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.accounts.retain(|_, account| {
                account.keys.retain(|_, tally| !tally.is_idle(before));
                !account.keys.is_empty() || !account.user.is_idle(before)
            });
            left += shard.accounts.len();
        }
        left
    }
}

fn learn(tally: &mut Tally, version: u64, subject: Subject, rows: &[CounterRow], now_ms: i64) {
    tally.roll(now_ms);
    if tally.version != version {
        return;
    }
    if let Some(row) = rows.iter().find(|row| row.subject == subject) {
        tally.learn(row);
    }
    tally.synced(now_ms);
}

/// Puts a user with fresh counts on the list, once.
fn note(account: &mut Account, dirty: &mut Vec<UserId>, user: UserId) {
    if !std::mem::replace(&mut account.is_dirty, true) {
        dirty.push(user);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
