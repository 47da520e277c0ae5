//! The leases of live holds.

use super::super::command::Terms;
use super::super::live::LiveHolds;
use super::accounts_of_user;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use tollgate_domain::{HoldId, KeyId};
use uuid::Uuid;

const LIFETIME: Duration = Duration::from_secs(120);

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn terms() -> Terms {
    let hold = HoldId(Uuid::from_u128(1));
    Terms { hold, accounts: accounts_of_user(0), key: KeyId(1), budget: None, asked: 1, amount: 1, lifetime: LIFETIME }
}

// Mutant: a lease noted as extended by `due` itself is forgotten when the database was away for that one look.
#[test]
fn a_live_hold_stays_due_until_its_extension_is_written() {
    let live = LiveHolds::default();
    live.insert(&terms());
    assert_eq!(live.due(at(0)), [], "the first look only notes it");
    assert_eq!(live.due(at(59)), []);
    let due = live.due(at(60));
    assert_eq!(due, [(terms().hold, at(180))]);
    assert_eq!(live.due(at(61)), [(terms().hold, at(181))], "not written: still due");
    live.extended(&due);
    assert_eq!(live.due(at(119)), []);
    assert_eq!(live.due(at(120)), [(terms().hold, at(240))]);
}

// Mutant: a set instead of a count lets the first of two tickets take the lease with it.
#[test]
fn a_hold_asked_for_twice_lives_until_its_last_ticket_is_gone() {
    let live = LiveHolds::default();
    live.insert(&terms());
    live.insert(&terms());
    live.remove(terms().hold);
    assert!(live.contains(terms().hold));
    live.remove(terms().hold);
    assert!(!live.contains(terms().hold));
    live.remove(terms().hold);
}
