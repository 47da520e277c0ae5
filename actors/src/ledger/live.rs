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
    /// An id that is asked for again has a ticket more.
    tickets: u32,
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
        let new = Lease { tickets: 0, lifetime: terms.lifetime, expires_at: None };
        let mut leases = self.lock();
        let lease = leases.entry(terms.hold).or_insert(new);
        lease.tickets = lease.tickets.saturating_add(1);
    }

    pub fn remove(&self, hold: HoldId) {
        let mut leases = self.lock();
        let Some(lease) = leases.get_mut(&hold) else { return };
        lease.tickets = lease.tickets.saturating_sub(1);
        if lease.tickets == 0 {
            leases.remove(&hold);
        }
    }

    pub fn contains(&self, hold: HoldId) -> bool {
        self.lock().contains_key(&hold)
    }

    /// The holds that have used up half their lifetime, with the time until which each is to be extended. A hold that
    /// was not looked at before is only noted.
    pub fn due(&self, now: DateTime<Utc>) -> Vec<(HoldId, DateTime<Utc>)> {
        let mut due = Vec::new();
        for (hold, lease) in self.lock().iter_mut() {
            let until = now + lease.lifetime;
            match lease.expires_at {
                Some(expires_at) if expires_at - lease.lifetime / 2 > now => {}
                Some(_) => due.push((*hold, until)),
                None => lease.expires_at = Some(until),
            }
        }
        due
    }

    /// Notes what was written. Until then a hold stays due: the database may have been away.
    pub fn extended(&self, until: &[(HoldId, DateTime<Utc>)]) {
        let mut leases = self.lock();
        for (hold, until) in until {
            if let Some(lease) = leases.get_mut(hold) {
                lease.expires_at = Some(*until);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HoldId, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
