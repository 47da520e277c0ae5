//! Calls that are over before their hold is durable: hold and settle share a commit, and what is charged is the same.

use crate::house::{House, TurnedClock, eventually, grant, hold_of, record};
use futures_util::FutureExt;
use futures_util::future::join_all;
use std::time::Duration;
use tollgate_actors::ledger::{Balance, EarlySettle, HoldRequest, LedgerError, Settled, Ticket, UserAccounts};
use tollgate_domain::{AccountId, Nanos};
use tollgate_test_database::TestDatabase;

fn ask(house: &House, request: HoldRequest) -> Ticket {
    let ticket = house.ledger.hold(HoldRequest { patient: true, ..request }).unwrap();
    assert!(ticket.early_permit().is_some(), "the last known balance is ten times the hold");
    ticket
}

/// A user of whom this house believes to have that much, though another replica knows better.
async fn believed_rich(house: &House, other: &House, database: &TestDatabase, spent: i64) -> UserAccounts {
    let user = house.user(database, "0.000001").await;
    let ticket = other.ledger.hold(hold_of(user, spent)).unwrap().confirm().await.unwrap();
    ticket.settle(record(spent)).await.unwrap();
    assert_eq!(house.ledger.known_balance(user.credits), Some(Nanos(1_000)));
    user
}

// Mutants, each red: `close_hold` that writes a closing also for a hold of its own batch; a patient hold that its settle does not
// take along.
#[actix_rt::test]
async fn a_call_that_is_over_at_once_is_one_row_and_charged_exactly() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "0.000001").await;
    let settled = ask(&house, hold_of(user, 100)).settle(record(60)).await.unwrap();
    let EarlySettle::Settled(settled) = settled else { panic!("{settled:?}") };
    let expected = Settled { charged: Nanos(60), debt: Nanos::ZERO, balance_after: Nanos(940), journaled: false };
    assert_eq!(settled, expected);
    assert_eq!(house.balance(user).await, Balance { credits: Nanos(940), ..Balance::default() });
    let written_once =
        "SELECT count(*) FROM holds WHERE state = 1 AND charged = 60 AND amount = 100 AND closed_at = created_at AND xmin = (
        SELECT xmin FROM usage_records)";
    assert_eq!(database.number(written_once).await, 1);
    house.assert_clean().await;
}

// Mutants, each red: either statement without its `<> (0, 0)`.
#[actix_rt::test]
async fn a_charge_writes_only_the_accounts_that_it_changes() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "0.000001").await;
    let versions = async || {
        let version = async |account: AccountId| {
            database.number(&format!("SELECT xmin::text::bigint FROM accounts WHERE id = {}", account.0)).await
        };
        (version(user.credits).await, version(user.debt).await)
    };
    let before = versions().await;
    ask(&house, hold_of(user, 100)).settle(record(60)).await.unwrap();
    let after_a_batch = versions().await;
    house.ledger.hold(hold_of(user, 90)).unwrap().confirm().await.unwrap().settle(record(60)).await.unwrap();
    let after_a_settle_alone = versions().await;
    assert!(before.0 < after_a_batch.0 && after_a_batch.0 < after_a_settle_alone.0);
    assert_eq!((before.1, before.1), (after_a_batch.1, after_a_settle_alone.1));
    house.assert_clean().await;
}

#[actix_rt::test]
async fn of_two_hundred_calls_that_all_seem_paid_for_exactly_those_are_charged_that_are() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "0.000001").await;
    let call = async |ticket: Ticket| ticket.settle(record(100)).await;
    let tickets: Vec<Ticket> = (0..200).map(|_| ask(&house, hold_of(user, 100))).collect();
    let settled = join_all(tickets.into_iter().map(call)).await;
    assert_eq!(settled.iter().filter(|it| matches!(it, Ok(EarlySettle::Settled(_)))).count(), 10);
    assert_eq!(settled.iter().filter(|it| matches!(it, Err(LedgerError::Insufficient { .. }))).count(), 190);
    assert_eq!(house.balance(user).await, Balance::default());
    house.assert_clean().await;
}

// Mutant, red: `hold_to_settle` that does not look at what was granted.
#[actix_rt::test]
async fn a_call_whose_hold_is_refused_or_granted_for_less_is_not_charged() {
    let database = TestDatabase::create().await;
    let (clock, rich) = (TurnedClock::new(), 950);
    let (house, other) = (House::on(&database, &clock).await, House::on(&database, &clock).await);
    let user = believed_rich(&house, &other, &database, rich).await;
    let refused = ask(&house, hold_of(user, 100)).settle(record(60)).await.unwrap_err();
    assert_eq!(refused, LedgerError::Insufficient { needed: Nanos(100), available: Nanos(50) });
    let user = believed_rich(&house, &other, &database, rich).await;
    let lowered = ask(&house, HoldRequest { least: Nanos(20), ..hold_of(user, 100) }).settle(record(60)).await.unwrap();
    let EarlySettle::Lowered(ticket) = lowered else { panic!("{lowered:?}") };
    assert_eq!(ticket.granted(), Nanos(50));
    assert_eq!(house.balance(user).await, Balance { credits: Nanos(50), held: Nanos(50), debt: Nanos::ZERO });
    ticket.settle(record(45)).await.unwrap();
    assert_eq!(house.balance(user).await.credits, Nanos(5));
    house.assert_clean().await;
}

#[actix_rt::test]
async fn a_patient_hold_is_durable_soon_or_as_soon_as_somebody_waits_and_never_for_one_who_has_left() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "0.000001").await;
    let waits = ask(&house, hold_of(user, 1)).confirm().await.unwrap();
    let mut later = ask(&house, hold_of(user, 2));
    let mut leaves = ask(&house, hold_of(user, 4));
    assert!(leaves.decided().now_or_never().is_none());
    drop(leaves);
    later.decided().await;
    assert_eq!(house.balance(user).await.held, Nanos(3));
    let later = later.confirm().await.unwrap();
    for ticket in [waits, later] {
        ticket.release();
    }
    eventually("both are given back", async || house.balance(user).await.held == Nanos::ZERO).await;
    assert_eq!(database.number("SELECT count(*) FROM holds").await, 2, "who left has no row");
    house.assert_clean().await;
}

// Mutant, red: every hold asked for at once.
#[actix_rt::test]
async fn a_patient_hold_is_not_asked_for_before_somebody_waits() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "0.000001").await;
    let ticket = ask(&house, hold_of(user, 1));
    // Far longer than one stays in the queue.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((database.number("SELECT count(*) FROM holds").await, house.ledger.load()), (0, (1, 0)));
    drop(ticket);
    assert_eq!(house.ledger.load(), (0, 0));
    house.assert_clean().await;
}

// Mutant, red: `put_off` that keeps every settle whose hold is pending.
#[actix_rt::test]
async fn with_the_database_away_such_a_call_is_refused_and_never_charged() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "0.000001").await;
    database.refuse_connections().await;
    // The writer learns of it.
    assert_eq!(house.ledger.credit(grant(user, Nanos(1))).await, Err(LedgerError::Unavailable));
    let calls = (0..50).map(|_| ask(&house, hold_of(user, 100)).settle(record(100)));
    let refused = join_all(calls).await;
    assert!(refused.iter().all(|it| matches!(it, Err(LedgerError::Unavailable))), "{refused:?}");
    database.accept_connections().await;
    let again = async || house.ledger.hold(hold_of(user, 1)).unwrap().confirm().await.is_ok();
    eventually("holds are granted again", again).await;
    eventually("all is free", async || house.balance(user).await == Balance { credits: Nanos(1_000), ..Balance::default() })
        .await;
    house.assert_clean().await;
}

// Mutant, red: `put_off` that keeps every settle whose hold was sent, as the first version did.
#[actix_rt::test]
async fn a_batch_that_is_cut_off_on_its_way_makes_nobody_owe_for_calls_that_were_refused() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "0.000001").await;
    let (first_lock, second_lock) = (database.connect().await, database.connect().await);
    let waiting = async |count| {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("that many wait for a lock", async || database.number(waits).await == count).await;
    };
    first_lock.batch_execute("BEGIN; LOCK TABLE usage_records IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let first = actix_rt::spawn(ask(&house, hold_of(user, 0)).settle(record(0)));
    waiting(1).await;
    // While the first batch stands, the rest becomes the second one; that is cut off while it stands behind another lock.
    let calls: Vec<_> = (0..50).map(|_| ask(&house, hold_of(user, 100)).settle(record(100))).collect();
    let cut = async {
        let lock = second_lock.batch_execute("BEGIN; LOCK TABLE holds IN ACCESS EXCLUSIVE MODE");
        let let_the_first_go = async {
            waiting(2).await;
            first_lock.batch_execute("COMMIT").await.unwrap();
        };
        let (locked, ()) = tokio::join!(lock, let_the_first_go);
        locked.unwrap();
        waiting(1).await;
        database.refuse_connections().await;
    };
    let (answers, ()) = tokio::join!(join_all(calls), cut);
    assert!(matches!(first.await.unwrap(), Ok(EarlySettle::Settled(_))));
    database.accept_connections().await;
    let served = answers.iter().filter(|it| matches!(it, Ok(EarlySettle::Settled(_)))).count();
    assert_eq!(served, 10, "as many as the balance pays for: {answers:?}");
    eventually("what is owed is paid", async || house.balance(user).await == Balance::default()).await;
    house.assert_clean().await;
}
