//! Promise L5: one id, one effect, one answer.

use crate::house::{House, TurnedClock, grant, hold_of, new_accounts, record, sized};
use futures_util::future::join_all;
use tollgate_actors::ledger::{Asset, Balance, ConfirmedTicket, Credit, HoldRequest, LedgerError, Settled, UserAccounts};
use tollgate_domain::Nanos;
use tollgate_test_database::TestDatabase;

const WAYS: usize = 64;

async fn confirmed(house: &House, request: &HoldRequest) -> Result<ConfirmedTicket, LedgerError> {
    house.ledger.hold(request.clone())?.confirm().await
}

async fn rich_user(house: &House, database: &TestDatabase, asset: Asset) -> UserAccounts {
    let user = new_accounts(database, asset).await;
    house.ledger.credit(grant(user, Nanos(1_000_000))).await.unwrap();
    user
}

/// Asks `times` at once for the hold, settles every ticket with the same record, and then with another.
async fn held_and_settled_once(house: &House, request: HoldRequest, times: usize, cost: i64) {
    let asked = join_all((0..times).map(|_| confirmed(house, &request))).await;
    let tickets: Vec<_> = asked.into_iter().map(|ticket| ticket.expect("granted")).collect();
    assert!(tickets.iter().all(|ticket| ticket.granted() == request.amount));
    let other_body = HoldRequest { amount: Nanos(request.amount.0 + 1), ..request.clone() };
    assert_eq!(confirmed(house, &other_body).await.unwrap_err(), LedgerError::Conflict("amount"));
    let settled = join_all(tickets.into_iter().map(|ticket| ticket.settle(record(cost)))).await;
    let once = |answer: &Result<Settled, LedgerError>| answer.as_ref().is_ok_and(|settled| settled.charged == Nanos(cost));
    assert!(settled.iter().all(once), "{settled:?}");
    let late = confirmed(house, &request).await.expect("the same answer, also when it is closed");
    assert_eq!(late.settle(record(cost + 1)).await, Err(LedgerError::Conflict("cost")));
}

// Mutants, each red: `ON CONFLICT (id) DO NOTHING` of holds counted as done; `hold.charged` not looked at in `Book::settle`.
#[actix_rt::test]
async fn holds_and_settles_sent_three_times_and_64_ways_have_one_effect() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    for asset in [Asset::Usd, Asset::Tokens] {
        let user = rich_user(&house, &database, asset).await;
        let (thrice, at_once) = (sized(200), sized(20));
        join_all((0..thrice).map(|_| held_and_settled_once(&house, hold_of(user, 9), 3, 5))).await;
        for _ in 0..at_once {
            held_and_settled_once(&house, hold_of(user, 9), WAYS, 5).await;
        }
        let charged = 5 * i64::try_from(thrice + at_once).unwrap();
        assert_eq!(house.balance(user).await, Balance { credits: Nanos(1_000_000 - charged), ..Balance::default() });
        println!("promise L5: {thrice} holds and settles sent 3 times, {at_once} sent {WAYS}-way at once: one effect each");
    }
    house.assert_clean().await;
}

async fn credited_once(house: &House, credit: Credit, times: usize) {
    let answers = join_all((0..times).map(|_| house.ledger.credit(credit.clone()))).await;
    let first = answers[0].as_ref().expect("credited");
    assert!(answers.iter().all(|answer| answer.as_ref() == Ok(first)), "one answer: {answers:?}");
    for other in [
        Credit { amount: Nanos(credit.amount.0 + 1), ..credit.clone() },
        Credit { description: "another".to_owned(), ..credit.clone() },
        Credit { kind: "bonus", ..credit.clone() },
    ] {
        assert_eq!(house.ledger.credit(other).await, Err(LedgerError::Conflict("body")));
    }
}

// Mutant, red: `body_hash` without the description.
#[actix_rt::test]
async fn credits_sent_three_times_and_64_ways_are_paid_once() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let other_replica = House::on(&database, &TurnedClock::new()).await;
    for asset in [Asset::Usd, Asset::Tokens] {
        let user = new_accounts(&database, asset).await;
        let (thrice, at_once) = (sized(180), sized(20));
        for some in 0..thrice / 60 {
            let house = if some % 2 == 0 { &house } else { &other_replica };
            join_all((0..60).map(|_| credited_once(house, grant(user, Nanos(3)), 3))).await;
        }
        for _ in 0..at_once {
            let credit = grant(user, Nanos(3));
            tokio::join!(credited_once(&house, credit.clone(), WAYS), credited_once(&other_replica, credit, WAYS));
        }
        let paid = 3 * i64::try_from(thrice / 60 * 60 + at_once).unwrap();
        assert_eq!(house.balance(user).await, Balance { credits: Nanos(paid), ..Balance::default() });
    }
    house.assert_clean().await;
}

// Mutant, red: `hold_again` that grants what was refused when there is enough now.
#[actix_rt::test]
async fn a_refused_id_stays_refused_after_a_top_up_and_a_new_one_is_granted() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "0.000000005").await;
    let requests: Vec<HoldRequest> = (0..sized(100)).map(|_| hold_of(user, 10)).collect();
    for round in 0..3 {
        let answers = join_all(requests.iter().map(|request| confirmed(&house, request))).await;
        let refused = |answer: &Result<_, LedgerError>| matches!(answer, Err(LedgerError::Insufficient { .. }));
        assert!(answers.iter().all(refused), "round {round}");
        house.ledger.credit(grant(user, Nanos(1_000_000))).await.unwrap();
    }
    assert!(confirmed(&house, &hold_of(user, 10)).await.is_ok());
    crate::house::eventually("it is given back", async || house.balance(user).await.held == Nanos::ZERO).await;
    house.assert_clean().await;
}

// Mutant, red: a believed hold that says it was asked for what was granted (`asked: terms.amount` in `believe_open`).
#[actix_rt::test]
async fn a_hold_that_shrank_answers_the_same_while_tickets_of_it_come_and_go() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "0.000000040").await;
    let request = HoldRequest { least: Nanos(1), ..hold_of(user, 100) };
    let come_and_go = async || {
        for _ in 0..sized(40) {
            let ticket = confirmed(&house, &request).await.expect("granted");
            assert_eq!(ticket.granted(), Nanos(40));
        }
    };
    join_all((0..16).map(|_| come_and_go())).await;
    let more_than_granted = HoldRequest { least: Nanos(41), ..request.clone() };
    assert_eq!(confirmed(&house, &more_than_granted).await.unwrap_err(), LedgerError::Conflict("least"));
    crate::house::eventually("it is given back", async || house.balance(user).await.held == Nanos::ZERO).await;
    house.assert_clean().await;
}

#[actix_rt::test]
async fn what_is_absurd_is_refused_and_harms_no_one() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    assert!(matches!(house.ledger.hold(hold_of(user, -1)), Err(LedgerError::Conflict(_))));
    assert!(matches!(house.ledger.credit(grant(user, Nanos(-1))).await, Err(LedgerError::Conflict(_))));
    assert!(matches!(house.ledger.credit(grant(user, Nanos::MAX)).await, Err(LedgerError::Conflict(_))));
    let ticket = confirmed(&house, &hold_of(user, 10)).await.unwrap();
    assert_eq!(ticket.settle(record(-5)).await.unwrap().charged, Nanos::ZERO);
    let ticket = confirmed(&house, &hold_of(user, 10)).await.unwrap();
    let mut with_nul = record(7);
    with_nul.finish_reason = "st\0p".to_owned();
    assert_eq!(ticket.settle(with_nul).await.unwrap().charged, Nanos(7));
    let mut accounts = user;
    accounts.credits.0 += 1_000_000;
    assert_eq!(confirmed(&house, &hold_of(accounts, 1)).await.unwrap_err(), LedgerError::Unknown("account"));
    house.assert_clean().await;
}
