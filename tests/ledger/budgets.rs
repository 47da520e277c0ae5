//! Keys' budgets: a sub-account in the same hold, as exact as the balance is (promise L6).

use crate::house::{House, TurnedClock, eventually, hold_of, record};
use futures_util::future::join_all;
use std::time::Duration;
use tollgate_actors::ledger::{ConfirmedTicket, HoldRequest, LedgerError, Settled, UserAccounts};
use tollgate_domain::{AccountId, Nanos};
use tollgate_test_database::TestDatabase;

/// A budget of the key that the tests' holds are of.
pub async fn new_budget(database: &TestDatabase, user: UserAccounts, limit: i64) -> AccountId {
    let admin = database.connect().await;
    let make = "INSERT INTO accounts (kind, asset, user_id, posted) VALUES ('budget', 'usd', $1, $2) RETURNING id";
    let account: i64 = admin.query_one(make, &[&user.user.0, &limit]).await.unwrap().get(0);
    let note = "INSERT INTO key_budgets (api_key_id, starts_at, account_id, limit_nanos) VALUES (1, clock_timestamp(), $1, $2)";
    admin.execute(note, &[&account, &limit]).await.unwrap();
    AccountId(account)
}

/// As `budgets::change_limit` does it.
async fn change_limit(database: &TestDatabase, budget: AccountId, by: i64) {
    let change = format!(
        "UPDATE accounts SET posted = posted + {by} WHERE id = {budget};
         UPDATE key_budgets SET limit_nanos = limit_nanos + {by} WHERE account_id = {budget}"
    );
    database.connect().await.batch_execute(&format!("BEGIN; {change}; COMMIT")).await.unwrap();
}

pub fn under(budget: AccountId, user: UserAccounts, nanos: i64) -> HoldRequest {
    HoldRequest { budget: Some(budget), ..hold_of(user, nanos) }
}

async fn ask(house: &House, request: HoldRequest) -> Result<ConfirmedTicket, LedgerError> {
    house.ledger.hold(request)?.confirm().await
}

/// What is left of it, and what is reserved.
async fn left(database: &TestDatabase, budget: AccountId) -> (i64, i64) {
    let posted = database.number(&format!("SELECT posted FROM accounts WHERE id = {budget}")).await;
    (posted, database.number(&format!("SELECT held FROM accounts WHERE id = {budget}")).await)
}

const fn over_budget(needed: i64, available: i64) -> LedgerError {
    LedgerError::OverBudget { needed: Nanos(needed), available: Nanos(available) }
}

// Mutant, red: `budget` left out of `Room::granted`.
#[actix_rt::test]
async fn of_a_thousand_calls_at_once_on_a_budget_for_ten_exactly_ten_are_granted_over_two_replicas() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let replicas = [House::on(&database, &clock).await, House::on(&database, &clock).await];
    let user = replicas[0].user(&database, "1").await;
    let budget = new_budget(&database, user, 70).await;
    let answers = join_all((0..1_000).map(|count| ask(&replicas[count % 2], under(budget, user, 7)))).await;
    let (granted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(granted.len(), 10);
    assert!(refused.iter().all(|answer| matches!(answer, Err(error) if *error == over_budget(7, 0))), "{:?}", refused[0]);
    assert_eq!(left(&database, budget).await, (70, 70));
    let tickets = granted.into_iter().map(Result::unwrap);
    let settled: Vec<_> = join_all(tickets.map(|ticket| ticket.settle(record(7)))).await;
    assert!(settled.iter().all(|answer| matches!(answer, Ok(Settled { debt: Nanos::ZERO, .. }))));
    assert_eq!(left(&database, budget).await, (0, 0));
    assert!(ask(&replicas[1], hold_of(user, 7)).await.is_ok(), "the user's other keys are not bound by it");
    eventually("all is given back", async || database.number("SELECT count(*) FROM holds WHERE state = 0").await == 0).await;
    replicas[0].assert_clean().await;
}

#[actix_rt::test]
async fn the_tighter_of_balance_and_budget_bounds_a_hold_and_is_named_when_it_refuses() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "0.000000100").await;
    let (wide, tight) = (new_budget(&database, user, 1_000).await, new_budget(&database, user, 40).await);
    let at_most = |budget, least| HoldRequest { least: Nanos(least), ..under(budget, user, 60) };
    let shrunk = ask(&house, at_most(tight, 10)).await.unwrap();
    assert_eq!(shrunk.granted(), Nanos(40), "what the budget affords");
    assert_eq!(ask(&house, at_most(tight, 10)).await.unwrap_err(), over_budget(60, 0));
    let rest = ask(&house, at_most(wide, 10)).await.unwrap();
    assert_eq!(rest.granted(), Nanos(60));
    let refused = ask(&house, at_most(wide, 10)).await.unwrap_err();
    assert_eq!(refused, LedgerError::Insufficient { needed: Nanos(60), available: Nanos(0) });
    shrunk.release();
    eventually("what is released is free in both", async || left(&database, tight).await == (40, 0)).await;
    rest.settle(record(60)).await.unwrap();
    assert_eq!((left(&database, wide).await, house.balance(user).await.available()), ((940, 0), Nanos(40)));
    house.assert_clean().await;
}

/// The same id is the same hold under the same budget only.
#[actix_rt::test]
async fn a_repeated_hold_has_one_effect_on_its_budget_and_no_other_budget() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    let (budget, other) = (new_budget(&database, user, 50).await, new_budget(&database, user, 50).await);
    let request = under(budget, user, 30);
    let ticket = ask(&house, request.clone()).await.unwrap();
    assert_eq!(ask(&house, request.clone()).await.map(|again| again.granted()).unwrap(), Nanos(30));
    eventually("the repetition's ticket is gone", async || left(&database, budget).await == (50, 0)).await;
    for different in [Some(other), None] {
        let refused = ask(&house, HoldRequest { budget: different, ..request.clone() }).await.unwrap_err();
        assert_eq!(refused, LedgerError::Conflict("budget"));
    }
    // It was given back by the second ticket; what was answered is charged all the same, to the budget that it was held in.
    ticket.settle(record(20)).await.unwrap();
    assert_eq!((left(&database, budget).await, left(&database, other).await), ((30, 0), (50, 0)));
    house.assert_clean().await;
}

#[actix_rt::test]
async fn usage_above_the_hold_overdraws_the_budget_and_free_calls_go_on() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "0.000000100").await;
    let budget = new_budget(&database, user, 50).await;
    let ticket = ask(&house, under(budget, user, 50)).await.unwrap();
    let settled = ticket.settle(record(130)).await.unwrap();
    assert_eq!(settled.debt, Nanos(30), "what the balance does not cover is owed");
    assert_eq!(left(&database, budget).await, (-80, 0), "and counts as spent");
    assert_eq!(ask(&house, under(budget, user, 1)).await.unwrap_err(), over_budget(1, 0));
    ask(&house, under(budget, user, 0)).await.unwrap().settle(record(0)).await.unwrap();
    house.assert_clean().await;
}

#[actix_rt::test]
async fn a_limit_that_changes_under_load_binds_the_next_call_and_the_books_stay_clean() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let replicas = [House::on(&database, &clock).await, House::on(&database, &clock).await];
    let user = replicas[0].user(&database, "1").await;
    let budget = new_budget(&database, user, 200).await;
    let call = async |number: usize| match ask(&replicas[number % 2], under(budget, user, 10)).await {
        Ok(ticket) => ticket.settle(record(10)).await.map(|_| 1).unwrap(),
        Err(error) => {
            assert!(matches!(error, LedgerError::OverBudget { .. }), "{error}");
            0
        }
    };
    let change = async {
        for by in [-50, 100, -30, 80] {
            change_limit(&database, budget, by).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let (served, ()) = futures_util::join!(join_all((0..200).map(call)), change);
    let mut served: i64 = served.into_iter().sum();
    while let Ok(ticket) = ask(&replicas[0], under(budget, user, 10)).await {
        ticket.settle(record(10)).await.unwrap();
        served += 1;
    }
    assert_eq!((served, left(&database, budget).await), (30, (0, 0)), "a limit of 300 at the end");
    change_limit(&database, budget, -100).await;
    assert_eq!(ask(&replicas[1], under(budget, user, 10)).await.unwrap_err(), over_budget(10, 0));
    replicas[0].assert_clean().await;
}

/// Its server died: who gives the hold back knows of the budget from the row.
#[actix_rt::test]
async fn a_hold_that_expires_is_given_back_to_its_budget_and_a_late_settle_is_charged_to_it() {
    const LIFETIME: Duration = Duration::from_secs(60);
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let (dying, living) = (House::on(&database, &clock).await, House::on(&database, &clock).await);
    let user = dying.user(&database, "1").await;
    let budget = new_budget(&database, user, 50).await;
    let lost = ask(&dying, HoldRequest { lifetime: LIFETIME, ..under(budget, user, 30) }).await.unwrap();
    dying.kill().await;
    drop(lost);
    assert_eq!(left(&database, budget).await, (50, 30));
    clock.advance(LIFETIME);
    eventually("it expires", async || left(&database, budget).await == (50, 0)).await;
    let late = ask(&living, under(budget, user, 30)).await.unwrap();
    // As if another replica had thought this one dead.
    let expire = format!(
        "UPDATE holds SET state = 3, closed_at = now() WHERE state = 0; UPDATE accounts SET held = 0 WHERE id IN ({budget}, {})",
        user.credits
    );
    database.connect().await.batch_execute(&format!("BEGIN; {expire}; COMMIT")).await.unwrap();
    late.settle(record(30)).await.unwrap();
    assert_eq!(left(&database, budget).await, (20, 0));
    living.assert_clean().await;
}
