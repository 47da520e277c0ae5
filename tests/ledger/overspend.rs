//! Promise L6: no balance is spent twice, however many ask at once.

use crate::house::{House, TurnedClock, eventually, grant, hold_of, new_accounts, record};
use futures_util::future::join_all;
use tollgate_actors::ledger::{Asset, ConfirmedTicket, LedgerError};
use tollgate_domain::Nanos;
use tollgate_test_database::TestDatabase;

const ASKED: usize = 10_000;
const BALANCE: i64 = 100;

// Mutant, red: what is held left out of `Account::available` (the tables' CHECK turns the overspending batches away, and
// callers are answered `Unavailable`).
#[actix_rt::test]
async fn of_ten_thousand_holds_of_1_on_a_balance_of_100_exactly_100_are_granted_over_three_replicas() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let replicas = [House::on(&database, &clock).await, House::on(&database, &clock).await, House::on(&database, &clock).await];
    for asset in [Asset::Usd, Asset::Tokens] {
        let user = new_accounts(&database, asset).await;
        replicas[0].ledger.credit(grant(user, Nanos(BALANCE))).await.unwrap();
        let ask = async |replica: &House| replica.ledger.hold(hold_of(user, 1))?.confirm().await;
        let answers = join_all((0..ASKED).map(|count| ask(&replicas[count % 3]))).await;
        let (granted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(granted.len(), 100);
        let too_little = |answer: &Result<_, LedgerError>| matches!(answer, Err(LedgerError::Insufficient { .. }));
        assert!(refused.iter().all(too_little), "{:?}", refused.iter().find(|answer| !too_little(answer)));
        assert_eq!(replicas[1].balance(user).await.available(), Nanos::ZERO);
        let tickets: Vec<ConfirmedTicket> = granted.into_iter().map(Result::unwrap).collect();
        let settled = join_all(tickets.into_iter().map(|ticket| ticket.settle(record(1)))).await;
        assert!(settled.iter().all(|answer| answer.as_ref().is_ok_and(|settled| settled.debt == Nanos::ZERO)));
        assert_eq!(replicas[2].balance(user).await.credits, Nanos::ZERO);
    }
    replicas[0].assert_clean().await;
    println!("promise L6: of {ASKED} holds of 1 on a balance of {BALANCE} over three servers exactly {BALANCE} granted");
}

/// A belief that is wrong in the harmless direction breaks no CHECK, and must be found all the same.
// Mutant, red: the join on `a.posted = c.posted AND a.held = c.held` in `batch.sql` reduced to the id.
#[actix_rt::test]
async fn what_another_replica_has_paid_in_can_be_held_and_charged_at_once() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let (house, other) = (House::on(&database, &clock).await, House::on(&database, &clock).await);
    let user = house.user(&database, "0.000000010").await;
    other.ledger.credit(grant(user, Nanos(100))).await.unwrap();
    let ticket = house.ledger.hold(hold_of(user, 50)).unwrap().confirm().await.expect("there is enough now");
    other.ledger.credit(grant(user, Nanos(100))).await.unwrap();
    let settled = ticket.settle(record(200)).await.unwrap();
    assert_eq!((settled.debt, settled.balance_after), (Nanos::ZERO, Nanos(10)));
    house.assert_clean().await;
}

// Mutant, red: the join on `a.posted = c.posted AND a.held = c.held` in `settle.sql` reduced to the id.
#[actix_rt::test]
async fn a_settle_alone_tells_of_what_another_replica_has_paid_in() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let (house, other) = (House::on(&database, &clock).await, House::on(&database, &clock).await);
    let user = house.user(&database, "0.000000010").await;
    let ticket = house.ledger.hold(hold_of(user, 10)).unwrap().confirm().await.unwrap();
    other.ledger.credit(grant(user, Nanos(100))).await.unwrap();
    assert_eq!(ticket.settle(record(8)).await.unwrap().balance_after, Nanos(102));
    house.assert_clean().await;
}

/// Holds, settles (also above the hold), releases and credits of the same few users through three replicas at once.
#[actix_rt::test]
async fn three_replicas_on_the_same_users_keep_the_books() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let replicas = [House::on(&database, &clock).await, House::on(&database, &clock).await, House::on(&database, &clock).await];
    let mut users = Vec::new();
    for _ in 0..4 {
        users.push(replicas[0].user(&database, "0.000001").await);
    }
    let work = async |replica: &House, number: usize| {
        let (user, cost) = (users[number % users.len()], i64::try_from(number % 60).unwrap());
        match replica.ledger.hold(hold_of(user, 40)).unwrap().confirm().await {
            Ok(ticket) if number.is_multiple_of(7) => ticket.release(),
            Ok(ticket) => assert_eq!(ticket.settle(record(cost)).await.unwrap().charged, Nanos(cost)),
            Err(LedgerError::Insufficient { .. }) => {
                replica.ledger.credit(grant(user, Nanos(50))).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    };
    for _ in 0..5 {
        join_all((0..240).map(|number| work(&replicas[number / users.len() % 3], number))).await;
    }
    let open = "SELECT count(*) FROM holds WHERE state = 0";
    eventually("all is given back", async || database.number(open).await == 0).await;
    replicas[0].assert_clean().await;
}

/// Callers who ask and leave while the database stands still must not crowd out those who have to settle.
// Mutant, red: the place given back with the ticket instead of with its queued hold (the queue overflows, the settle is lost).
#[actix_rt::test]
async fn callers_who_ask_and_leave_in_a_stall_cannot_push_a_settle_out_of_the_queue() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    let ticket = house.ledger.hold(hold_of(user, 10)).unwrap().confirm().await.unwrap();
    let admin = database.connect().await;
    admin.batch_execute("BEGIN; LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut turned_away = 0;
    for _ in 0..60_000 {
        turned_away += usize::from(house.ledger.hold(hold_of(user, 1)).is_err());
    }
    assert!(turned_away > 0, "the queue is bounded");
    let receipt = ticket.settle(record(7));
    admin.batch_execute("COMMIT").await.unwrap();
    assert_eq!(receipt.await.unwrap().charged, Nanos(7));
    let open = "SELECT count(*) FROM holds WHERE state = 0";
    for _ in 0..10 {
        if database.number(open).await == 0 && house.ledger.load() == (0, 0) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(house.ledger.load(), (0, 0), "every place comes back");
    house.assert_clean().await;
}

/// Answers are brought to the runtime that asked, in bundles. One that ends before its bundle is opened gives all back.
// Mutant, red: answers given by `deliver` instead of by their drop (the holds stay open).
#[actix_rt::test]
async fn a_runtime_that_ends_with_answers_on_their_way_leaves_no_hold_open() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    let open = "SELECT count(*) FROM holds WHERE state = 0";
    let (ledger, (end, ended)) = (house.ledger.clone(), std::sync::mpsc::channel::<()>());
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let tickets = runtime.block_on(async { [1, 2, 3].map(|amount| ledger.hold(hold_of(user, amount)).unwrap()) });
        ended.recv().unwrap();
        // The bundle has come, and nobody has polled for it.
        drop(runtime);
        drop(tickets);
    });
    eventually("the holds are granted", async || database.number(open).await == 3).await;
    end.send(()).unwrap();
    asking.join().unwrap();
    eventually("all is given back", async || database.number(open).await == 0).await;
    eventually("every place comes back", async || house.ledger.load() == (0, 0)).await;
    house.assert_clean().await;
}
