//! Which sub-account a key's budget has now. Known here for a period; asked of the database once when a period begins.

use super::handle::Ledger;
use super::messages::LedgerError;
use chrono::{DateTime, Utc};
use moka::sync::Cache;
use tokio::sync::Mutex;
use tollgate_domain::{AccountId, Budget, KeyId};
use tollgate_store::StoreError;
use tollgate_store::ledger::open_budget;

/// Keys with budgets whose sub-account is known without asking, at about 100 bytes each.
const KNOWN_MAX: u64 = 100_000;
/// Lines of those who ask. At midnight all keys ask at once: each key's callers wait for one of them, few for other keys'.
const LINES: usize = 64;

/// The sub-accounts of this period.
#[derive(Debug)]
pub(super) struct Budgets {
    known: Cache<KeyId, (DateTime<Utc>, AccountId)>,
    lines: [Mutex<()>; LINES],
}

impl Default for Budgets {
    fn default() -> Self {
        Self { known: Cache::new(KNOWN_MAX), lines: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Budgets {
    fn get(&self, key: KeyId, starts_at: DateTime<Utc>) -> Option<AccountId> {
        self.known.get(&key).filter(|(known, _)| *known == starts_at).map(|(_, account)| account)
    }

    fn line(&self, key: KeyId) -> Option<&Mutex<()>> {
        usize::try_from(key.0).ok().and_then(|id| self.lines.get(id % LINES))
    }
}

impl Ledger {
    /// The sub-account that a call with this key is held in beside the user's; made when a period begins. `None`: the budget
    /// was taken away a moment ago.
    ///
    /// # Errors
    /// `Unavailable` without database.
    pub async fn budget_account(
        &self,
        key: KeyId,
        budget: &Budget,
        now: DateTime<Utc>,
    ) -> Result<Option<AccountId>, LedgerError> {
        let starts_at = budget.window(now).starts_at;
        if let Some(account) = self.budgets.get(key, starts_at) {
            return Ok(Some(account));
        }
        let _line = match self.budgets.line(key) {
            Some(line) => Some(line.lock().await),
            None => None,
        };
        if let Some(account) = self.budgets.get(key, starts_at) {
            return Ok(Some(account));
        }
        // The row says which period it is, should the caller's snapshot be older than the last change.
        let opened = open_budget(&self.store, key, now).await.map_err(|error: StoreError| {
            tracing::warn!(%key, %error, "a key's budget could not be opened");
            LedgerError::Unavailable
        })?;
        if let Some(opened) = opened {
            self.budgets.known.insert(key, opened);
        }
        Ok(opened.map(|(_, account)| account))
    }
}
