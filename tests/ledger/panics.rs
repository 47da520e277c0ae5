//! Promise P8 for the ledger: a panic costs the message that caused it.

use crate::house::{House, TurnedClock, eventually, hold_of, record};
use futures_util::future::join_all;
use std::cell::Cell;
use std::time::{Duration, Instant};
use tollgate_actors::ledger::LedgerError;
use tollgate_actors::runtime::Crash;
use tollgate_domain::Nanos;
use tollgate_test_database::TestDatabase;

// Mutant, red: `guarded` without its `catch_unwind` (the batch around the panic is answered `Unavailable`).
#[actix_rt::test]
async fn panics_in_the_face_and_in_the_writer_under_load_fail_only_themselves() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    let (calls, done) = (Cell::new(0), Cell::new(false));
    let call = async || {
        while !done.get() {
            let ticket = house.ledger.hold(hold_of(user, 5)).unwrap().confirm().await.expect("held");
            assert_eq!(ticket.settle(record(1)).await.expect("settled").charged, Nanos(1));
            calls.set(calls.get() + 1);
        }
    };
    let crash = async || {
        for _ in 0..5 {
            let before = calls.get();
            let crashed = Instant::now();
            assert!(house.actor.ask(Crash).await.is_err());
            assert_eq!(house.ledger.crash_writer().await, Err(LedgerError::Unavailable));
            eventually("calls go on", async || calls.get() > before + 64).await;
            assert!(crashed.elapsed() < Duration::from_secs(1), "back after {:?}", crashed.elapsed());
        }
        done.set(true);
    };
    tokio::join!(join_all((0..32).map(|_| call())), crash());
    assert_eq!(house.balance(user).await.credits, Nanos(1_000_000_000 - calls.get()));
    house.assert_clean().await;
    house.drain().await;
}
