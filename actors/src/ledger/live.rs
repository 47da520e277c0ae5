//! The holds whose calls run in this process: they are extended while they live, and never expired from here.

use super::command::Terms;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollgate_domain::HoldId;

/// One live hold's clock.
#[derive(Clone, Copy, Debug)]
struct Lease {
    lifetime: Duration,
    /// When the row expires; `None` until the first look, which only the keeper takes, for it has the clock.
    expires_at: Option<DateTime<Utc>>,
}

/// The live holds.
#[derive(Debug, Default)]
pub struct LiveHolds {
    leases: Mutex<HashMap<HoldId, Lease>>,
}

impl LiveHolds {
    pub fn insert(&self, terms: &Terms) {
        self.lock().insert(terms.hold, Lease { lifetime: terms.lifetime, expires_at: None });
    }

    pub fn remove(&self, hold: HoldId) {
        self.lock().remove(&hold);
    }

    pub fn contains(&self, hold: HoldId) -> bool {
        self.lock().contains_key(&hold)
    }

    /// The holds that have used up half their lifetime, with the time until which each is now extended. A hold that
    /// was not looked at before is only noted.
    pub fn due(&self, now: DateTime<Utc>) -> Vec<(HoldId, DateTime<Utc>)> {
        let mut due = Vec::new();
        for (hold, lease) in self.lock().iter_mut() {
            let until = now + lease.lifetime;
            match lease.expires_at {
                Some(expires_at) if expires_at - lease.lifetime / 2 > now => {}
                Some(_) => {
                    lease.expires_at = Some(until);
                    due.push((*hold, until));
                }
                None => lease.expires_at = Some(until),
            }
        }
        due
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HoldId, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
