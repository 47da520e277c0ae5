//! PostgreSQL away under load: holds are refused, settles wait in the journal and land later, once.

use crate::house::{House, TurnedClock, eventually, grant, hold_of, record, sized};
use futures_util::future::join_all;
use std::time::Duration;
use tollgate_actors::ledger::{Balance, ConfirmedTicket, LedgerError, UserAccounts};
use tollgate_domain::Nanos;
use tollgate_test_database::TestDatabase;

const OPEN: &str = "SELECT count(*) FROM holds WHERE state = 0";

async fn tickets(house: &House, user: UserAccounts, count: usize) -> Vec<ConfirmedTicket> {
    let hold = async || house.ledger.hold(hold_of(user, 10)).unwrap().confirm().await.expect("granted");
    join_all((0..count).map(|_| hold())).await
}

/// Settles all while the database is away; every answer is given, and says that it waits.
async fn settle_into_the_journal(tickets: Vec<ConfirmedTicket>) {
    let settled = join_all(tickets.into_iter().map(|ticket| ticket.settle(record(7)))).await;
    let waits = settled.iter().all(|answer| answer.as_ref().is_ok_and(|it| it.journaled && it.charged == Nanos(7)));
    assert!(waits, "{settled:?}");
}

async fn refused(house: &House, user: UserAccounts) {
    let hold = house.ledger.hold(hold_of(user, 10)).unwrap().confirm().await;
    assert_eq!(hold.unwrap_err(), LedgerError::Unavailable);
    assert_eq!(house.ledger.credit(grant(user, Nanos(1))).await, Err(LedgerError::Unavailable));
}

// Mutant, red: `Owed::settle` that notes the settle on disk only.
#[actix_rt::test]
async fn what_is_owed_in_an_outage_lands_once_when_the_database_is_back() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    let count = sized(100);
    let (open, dropped) = (tickets(&house, user, count).await, tickets(&house, user, 5).await);
    database.refuse_connections().await;
    refused(&house, user).await;
    drop(dropped);
    settle_into_the_journal(open).await;
    refused(&house, user).await;
    assert_eq!(house.ledger.known_balance(user.credits), Some(Nanos(1_000_000_000 - 10 * i64::try_from(count + 5).unwrap())));
    database.accept_connections().await;
    eventually("everything is closed", async || database.number(OPEN).await == 0).await;
    let left = Balance { credits: Nanos(1_000_000_000 - 7 * i64::try_from(count).unwrap()), ..Balance::default() };
    assert_eq!(house.balance(user).await, left);
    house.assert_clean().await;
    let ticket = tickets(&house, user, 1).await.remove(0);
    assert!(!ticket.settle(record(1)).await.unwrap().journaled);
    assert_eq!(std::fs::metadata(house.data_dir.join("ledger.journal")).unwrap().len(), 0);
}

// Mutants, each red: a journal that is not read at the start; a settle that is not appended to it.
#[actix_rt::test]
async fn what_is_owed_when_the_process_is_killed_lands_once_at_its_next_start() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let house = House::on(&database, &clock).await;
    let user = house.user(&database, "0.000001").await;
    // All of the balance is held: nothing is free that a late settle could take.
    let open = tickets(&house, user, 100).await;
    database.refuse_connections().await;
    settle_into_the_journal(open).await;
    let data_dir = house.kill().await;
    database.accept_connections().await;
    let house = House::with_url(database.app_url.clone(), &clock, data_dir).await;
    assert_eq!(house.balance(user).await, Balance { credits: Nanos(300), ..Balance::default() });
    house.assert_clean().await;
    assert_eq!(std::fs::metadata(house.data_dir.join("ledger.journal")).unwrap().len(), 0);
}

/// A settle in the journal that no database takes must not bar the way for ever.
// Mutant, red: `narrow_down` that only disconnects, as the first version did.
#[actix_rt::test]
async fn a_settle_that_can_never_be_written_is_set_aside_and_the_others_land() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    let mut open = tickets(&house, user, 21).await;
    let admin = database.connect().await;
    let guilty = open.remove(10);
    let stuck = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
         CREATE TRIGGER stuck BEFORE UPDATE ON holds FOR EACH ROW WHEN (OLD.id = '{}') EXECUTE FUNCTION refuse()",
        guilty.hold_id().0
    );
    admin.batch_execute(&stuck).await.unwrap();
    database.refuse_connections().await;
    open.insert(10, guilty);
    settle_into_the_journal(open).await;
    database.accept_connections().await;
    let settled = "SELECT count(*) FROM holds WHERE state = 1";
    eventually("the others land", async || database.number(settled).await == 20).await;
    eventually("holds are granted again", async || house.ledger.hold(hold_of(user, 1)).unwrap().confirm().await.is_ok()).await;
    let aside = std::fs::read_to_string(house.data_dir.join("ledger.rejected.jsonl")).expect("set aside for a person");
    assert_eq!(aside.lines().count(), 1, "{aside}");
}

// A stall is not an outage: everything waits for the lock, nothing is refused or lost.
#[actix_rt::test]
async fn a_database_that_stands_still_for_a_while_delays_and_loses_nothing() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    let admin = database.connect().await;
    admin.batch_execute("BEGIN; LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let call = async || {
        let ticket = house.ledger.hold(hold_of(user, 10)).unwrap().confirm().await.unwrap();
        ticket.settle(record(10)).await.unwrap();
    };
    let unlock = async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        admin.batch_execute("COMMIT").await.unwrap();
    };
    tokio::join!(join_all((0..500).map(|_| call())), unlock());
    assert_eq!(house.balance(user).await.credits, Nanos(1_000_000_000 - 5_000));
    house.assert_clean().await;
}
