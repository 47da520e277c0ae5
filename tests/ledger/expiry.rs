//! Promise L7, and decisions 6 and 12: what becomes of holds whose time is over or whose owner is dead.

use crate::house::{House, TurnedClock, eventually, hold_of, record, seed, sized};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};
use tollgate_actors::ledger::{Balance, ConfirmedTicket, HoldRequest, UserAccounts};
use tollgate_domain::Nanos;
use tollgate_test_database::TestDatabase;

const OPEN: &str = "SELECT count(*) FROM holds WHERE state = 0";
const RELEASED: &str = "SELECT count(*) FROM holds WHERE state = 2";
const EXPIRED: &str = "SELECT count(*) FROM holds WHERE state = 3";
const LIFETIME: Duration = Duration::from_secs(60);

async fn tickets(house: &House, user: UserAccounts, count: usize) -> Vec<ConfirmedTicket> {
    let hold = async || {
        let request = HoldRequest { lifetime: LIFETIME, ..hold_of(user, 10) };
        house.ledger.hold(request).unwrap().confirm().await.expect("granted")
    };
    join_all((0..count).map(|_| hold())).await
}

/// Holds that a killed replica has left open, and a replica that lives on.
async fn left_behind(database: &TestDatabase, count: usize) -> (House, UserAccounts) {
    let clock = TurnedClock::new();
    let (dying, living) = (House::on(database, &clock).await, House::on(database, &clock).await);
    let user = dying.user(database, "1").await;
    let tickets = tickets(&dying, user, count).await;
    dying.kill().await;
    // Their process is dead: what they say reaches no one.
    drop(tickets);
    (living, user)
}

// Mutant, red: `expired` left out of `due_holds` (they are released for their dead owner, ten seconds later).
#[actix_rt::test]
async fn a_thousand_holds_expire_within_two_seconds_of_their_time() {
    let database = TestDatabase::create().await;
    let count = sized(1_000);
    let (house, user) = left_behind(&database, count).await;
    assert_eq!(usize::try_from(database.number(OPEN).await), Ok(count));
    house.clock.advance(LIFETIME - Duration::from_secs(1));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(database.number(EXPIRED).await, 0, "not before their time");
    house.clock.advance(Duration::from_secs(1));
    let over = Instant::now();
    eventually("all expire", async || usize::try_from(database.number(EXPIRED).await) == Ok(count)).await;
    let took = over.elapsed();
    println!("promise L7: {count} holds expired, the last {took:?} after its time");
    assert!(took <= Duration::from_secs(2), "{took:?}");
    assert_eq!(house.balance(user).await.available(), Nanos(1_000_000_000));
    house.assert_clean().await;
}

// Mutant, red: `DEAD_AFTER` of 100 seconds.
#[actix_rt::test]
async fn ten_seconds_without_a_heartbeat_release_a_replicas_holds_and_not_the_others() {
    let database = TestDatabase::create().await;
    let (house, user) = left_behind(&database, 50).await;
    let own = tickets(&house, user, 5).await;
    let age = "UPDATE instances SET heartbeat_at = now() - interval '9 seconds' WHERE slot = 1";
    database.connect().await.batch_execute(age).await.unwrap();
    eventually("the dead one's are released", async || database.number(RELEASED).await == 50).await;
    assert_eq!(database.number(OPEN).await, 5);
    drop(own);
    eventually("the living one's, too", async || database.number(OPEN).await == 0).await;
    house.assert_clean().await;
}

// Mutant, red: `release_orphans` that returns at once.
#[actix_rt::test]
async fn a_restart_releases_what_its_former_life_left_open_before_it_is_ready() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let first = House::on(&database, &clock).await;
    let user = first.user(&database, "1").await;
    let open = tickets(&first, user, 2_500).await;
    let data_dir = first.kill().await;
    drop(open);
    let second = House::with_url(database.app_url.clone(), &clock, data_dir).await;
    assert_eq!((database.number(OPEN).await, database.number(RELEASED).await), (0, 2_500));
    second.assert_clean().await;
}

// Mutants, each red: no `extend_holds` in the keeper; the keeper of this process not asking whether a hold is live.
#[actix_rt::test]
async fn a_hold_whose_call_runs_on_is_extended_and_never_expired() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let (house, other) = (House::on(&database, &clock).await, House::on(&database, &clock).await);
    let user = house.user(&database, "1").await;
    let confirmed = tickets(&house, user, 1).await.remove(0);
    // Not confirmed yet: the call may be under way all the same, and its hold lives.
    let pending = house.ledger.hold(HoldRequest { lifetime: LIFETIME, ..hold_of(user, 10) }).unwrap();
    // The first look notes when it began.
    tokio::time::sleep(Duration::from_millis(800)).await;
    let ends = "SELECT extract(epoch FROM min(expires_at))::bigint FROM holds WHERE state = 0";
    for _ in 0..4 {
        let before = database.number(ends).await;
        clock.advance(LIFETIME * 2 / 3);
        eventually("it is extended", async || database.number(ends).await >= before + 40).await;
        assert_eq!(database.number(OPEN).await, 2);
    }
    assert_eq!(pending.confirm().await.unwrap().settle(record(10)).await.unwrap().debt, Nanos::ZERO);
    assert_eq!(confirmed.settle(record(10)).await.unwrap().debt, Nanos::ZERO);
    assert_eq!(database.number(EXPIRED).await, 0);
    other.assert_clean().await;
}

// Mutant, red: the keeper not asking whether a hold is live.
#[actix_rt::test]
async fn a_replica_never_expires_the_hold_of_a_call_that_runs_in_it() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let house = House::on(&database, &clock).await;
    let user = house.user(&database, "1").await;
    let open = tickets(&house, user, 3).await;
    end_their_time(&database).await;
    // Two looks of the keeper.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(database.number(OPEN).await, 3);
    drop(open);
    eventually("they are given back", async || database.number(RELEASED).await == 3).await;
    house.assert_clean().await;
}

/// Makes every open hold's time be over, so that the replica expires it that does not run its call.
async fn end_their_time(database: &TestDatabase) {
    let end = "UPDATE holds SET expires_at = created_at WHERE state = 0";
    database.connect().await.batch_execute(end).await.unwrap();
}

#[actix_rt::test]
async fn a_settle_after_expiry_charges_the_free_balance_and_owes_the_rest() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let (house, other) = (House::on(&database, &clock).await, House::on(&database, &clock).await);
    let user = house.user(&database, "0.000000020").await;
    let mut late = tickets(&house, user, 2).await;
    end_their_time(&database).await;
    eventually("the other replica expires them", async || database.number(EXPIRED).await == 2).await;
    let settled = late.remove(0).settle(record(8)).await.unwrap();
    assert_eq!((settled.charged, settled.debt, settled.balance_after), (Nanos(8), Nanos::ZERO, Nanos(12)));
    let taken = other.ledger.hold(hold_of(user, 9)).unwrap().confirm().await.unwrap();
    let settled = late.remove(0).settle(record(15)).await.unwrap();
    assert_eq!((settled.charged, settled.debt, settled.balance_after), (Nanos(15), Nanos(12), Nanos(9)));
    assert_eq!(taken.settle(record(9)).await.unwrap().debt, Nanos::ZERO, "another's hold is not touched");
    assert_eq!(house.balance(user).await, Balance { debt: Nanos(12), ..Balance::default() });
    house.assert_clean().await;
}

/// The hold after the expiry has learned of the balance; only the count of `closed` tells the settles that theirs are gone.
// Mutants, each red: in `settle.sql`, `closed` without `h.state = ?`; nobody counting `closed`.
#[actix_rt::test]
async fn a_settle_alone_finds_that_its_hold_has_expired_though_the_balance_is_as_believed() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let (house, other) = (House::on(&database, &clock).await, House::on(&database, &clock).await);
    let user = house.user(&database, "0.000000100").await;
    let late = tickets(&house, user, 2).await;
    end_their_time(&database).await;
    eventually("the other replica expires them", async || database.number(EXPIRED).await == 2).await;
    let open = tickets(&house, user, 1).await;
    for ticket in late {
        assert_eq!(ticket.settle(record(8)).await.unwrap().debt, Nanos::ZERO);
    }
    let left = Balance { credits: Nanos(84), held: Nanos(10), ..Balance::default() };
    assert_eq!(house.balance(user).await, left);
    drop(open);
    eventually("it is given back", async || database.number(OPEN).await == 0).await;
    other.assert_clean().await;
}

// Mutant, red: `closed` in `batch.sql` without `h.state = c.state`.
#[actix_rt::test]
async fn a_settle_and_an_expiry_that_race_have_one_effect() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let (house, other) = (House::on(&database, &clock).await, House::on(&database, &clock).await);
    let user = house.user(&database, "1").await;
    let seed = seed();
    let mut dice = StdRng::seed_from_u64(seed);
    let mut expired_first = 0;
    for round in 0..sized(10) {
        let open = tickets(&house, user, 10).await;
        end_their_time(&database).await;
        let wait = |_: &ConfirmedTicket| Duration::from_millis(dice.random_range(0..700));
        let waits: Vec<_> = open.iter().map(wait).collect();
        let settle = async |ticket: ConfirmedTicket, wait| {
            tokio::time::sleep(wait).await;
            let state = format!("SELECT state::bigint FROM holds WHERE id = '{}'", ticket.hold_id().0);
            let before = database.number(&state).await;
            let settled = ticket.settle(record(3)).await.unwrap();
            assert_eq!((settled.charged, settled.debt), (Nanos(3), Nanos::ZERO), "round {round}, SEED={seed}");
            usize::from(before == 3)
        };
        let raced = join_all(open.into_iter().zip(waits).map(|(ticket, wait)| settle(ticket, wait))).await;
        expired_first += raced.into_iter().sum::<usize>();
    }
    println!("promise L7: of {} settles that raced an expiry {expired_first} came second; each had one effect", sized(100));
    let charged = 3 * i64::try_from(sized(100)).unwrap();
    let left = Balance { credits: Nanos(1_000_000_000 - charged), ..Balance::default() };
    eventually("nothing is held", async || house.balance(user).await == left).await;
    other.assert_clean().await;
}

/// A clock far ahead, with history already in the default partition, must not stop the keeper.
// Mutant, red: `make_partitions` with `?` instead of a warning.
#[actix_rt::test]
async fn holds_expire_also_when_the_months_partitions_cannot_be_made() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let house = House::on(&database, &clock).await;
    let user = house.user(&database, "1").await;
    let settled_at_once = tickets(&house, user, 200).await;
    let dying = House::on(&database, &clock).await;
    let left = tickets(&dying, user, 10).await;
    dying.kill().await;
    drop(left);
    clock.advance(Duration::from_secs(200 * 86_400));
    let settled = join_all(settled_at_once.into_iter().map(|ticket| ticket.settle(record(1)))).await;
    assert!(settled.iter().all(Result::is_ok));
    eventually("they expire", async || database.number(OPEN).await == 0).await;
    house.assert_clean().await;
}
