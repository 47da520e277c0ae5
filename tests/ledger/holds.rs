//! What holds, settles and credits do to a balance.

use crate::house::{House, TurnedClock, grant, hold_of, record};
use tokio_postgres::error::SqlState;
use tollgate_actors::ledger::{Balance, HoldRequest, LedgerError, Settled};
use tollgate_domain::Nanos;
use tollgate_test_database::TestDatabase;

const CENT: i64 = 10_000_000;

#[actix_rt::test]
async fn a_hold_reserves_and_its_settle_charges_exactly() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    let ticket = house.ledger.hold(hold_of(user, 30 * CENT)).unwrap().confirm().await.unwrap();
    let reserved = Balance { credits: Nanos(100 * CENT), held: Nanos(30 * CENT), debt: Nanos::ZERO };
    assert_eq!(house.balance(user).await, reserved);
    let settled = ticket.settle(record(12 * CENT)).await.unwrap();
    let expected = Settled { charged: Nanos(12 * CENT), debt: Nanos::ZERO, balance_after: Nanos(88 * CENT), journaled: false };
    assert_eq!(settled, expected);
    assert_eq!(house.balance(user).await, Balance { credits: Nanos(88 * CENT), ..Balance::default() });
    house.assert_clean().await;
}

#[actix_rt::test]
async fn a_released_or_dropped_ticket_costs_nothing() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    house.ledger.hold(hold_of(user, CENT)).unwrap().confirm().await.unwrap().release();
    drop(house.ledger.hold(hold_of(user, CENT)).unwrap().confirm().await.unwrap());
    drop(house.ledger.hold(hold_of(user, CENT)).unwrap());
    let full = Balance { credits: Nanos(100 * CENT), ..Balance::default() };
    crate::house::eventually("every hold is given back", async || house.balance(user).await == full).await;
    house.assert_clean().await;
}

#[actix_rt::test]
async fn a_hold_above_the_balance_is_refused_with_both_figures_and_shrinks_when_it_may() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    let refused = house.ledger.hold(hold_of(user, 101 * CENT)).unwrap().confirm().await.unwrap_err();
    assert_eq!(refused, LedgerError::Insufficient { needed: Nanos(101 * CENT), available: Nanos(100 * CENT) });
    let shrinking = HoldRequest { least: Nanos(50 * CENT), ..hold_of(user, 200 * CENT) };
    let ticket = house.ledger.hold(shrinking).unwrap().confirm().await.unwrap();
    assert_eq!(ticket.granted(), Nanos(100 * CENT));
    ticket.release();
}

#[actix_rt::test]
async fn usage_above_the_hold_takes_the_free_balance_and_then_becomes_a_debt_that_the_next_credit_pays() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    let other = house.ledger.hold(hold_of(user, 40 * CENT)).unwrap().confirm().await.unwrap();
    let ticket = house.ledger.hold(hold_of(user, 10 * CENT)).unwrap().confirm().await.unwrap();
    let settled = ticket.settle(record(75 * CENT)).await.unwrap();
    assert_eq!((settled.charged, settled.debt), (Nanos(75 * CENT), Nanos(15 * CENT)));
    let owing = Balance { credits: Nanos(40 * CENT), held: Nanos(40 * CENT), debt: Nanos(15 * CENT) };
    assert_eq!(house.balance(user).await, owing);
    other.release();
    let after = house.ledger.credit(grant(user, Nanos(20 * CENT))).await.unwrap();
    assert_eq!((after.credits, after.debt), (Nanos(45 * CENT), Nanos::ZERO));
    house.assert_clean().await;
}

#[actix_rt::test]
async fn an_account_of_another_kind_or_asset_is_refused_by_the_database() {
    let database = TestDatabase::create().await;
    for words in ["'wallet', 'usd'", "'user', 'euro'"] {
        let make = format!("INSERT INTO accounts (kind, asset, user_id) VALUES ({words}, 1)");
        let refused = database.connect().await.batch_execute(&make).await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::CHECK_VIOLATION), "{refused}");
    }
}
