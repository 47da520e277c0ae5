//! Promises L1 and L2 in their push size. Absolute figures belong to `make bench`; here they are printed, and what is
//! asserted is a ratio inside one run.

use crate::house::{House, TurnedClock, eventually, grant, hold_of, record, sized};
use futures_util::future::join_all;
use std::cell::RefCell;
use std::time::{Duration, Instant};
use tollgate_actors::ledger::{BATCH_MAX, UserAccounts};
use tollgate_domain::{AccountId, Nanos, UserId};
use tollgate_test_database::TestDatabase;

const CALLERS: usize = 256;
/// The promise says ten, of the release build; a dev build's own work weighs more beside the commit.
const RATIO: f64 = if cfg!(debug_assertions) { 3.0 } else { 10.0 };

/// Of the release build, with `CHAOS=long`.
const HOLDS_PER_SECOND: f64 = 10_000.0;
const HOLD_P99: Duration = Duration::from_millis(50);

fn accounts() -> usize {
    sized(1_000) * if sized(1) == 1 { 1 } else { 10 }
}

/// Latencies of what was answered, and how long it took in all.
struct Rate {
    name: &'static str,
    latencies: Vec<Duration>,
    took: Duration,
}

impl Rate {
    fn per_second(&self) -> f64 {
        f64::from(u32::try_from(self.latencies.len()).unwrap()) / self.took.as_secs_f64()
    }

    fn at(&self, share: usize) -> Duration {
        self.latencies[self.latencies.len() * share / 100]
    }

    fn print(&mut self) {
        self.latencies.sort_unstable();
        let at = |share: usize| self.at(share);
        println!("promise L1: {}: {:.0}/s, p50 {:?}, p99 {:?}", self.name, self.per_second(), at(50), at(99));
    }
}

async fn measure(name: &'static str, time: Duration, call: impl AsyncFn(usize)) -> Rate {
    let (started, latencies) = (Instant::now(), RefCell::new(Vec::new()));
    let caller = async |number: usize| {
        while started.elapsed() < time {
            let asked = Instant::now();
            call(number).await;
            latencies.borrow_mut().push(asked.elapsed());
        }
    };
    join_all((0..CALLERS).map(caller)).await;
    Rate { name, latencies: latencies.into_inner(), took: started.elapsed() }
}

/// Many users with money, made in bulk; each is granted through the ledger.
async fn rich_users(house: &House, database: &TestDatabase) -> Vec<UserAccounts> {
    let make = format!(
        "INSERT INTO accounts (kind, asset, user_id) SELECT kind, 'usd', n FROM generate_series(1, {}) n,
             unnest(ARRAY['user', 'debt']) kind ORDER BY n, kind DESC RETURNING id, user_id, kind",
        accounts()
    );
    let rows = database.connect().await.query(&make, &[]).await.unwrap();
    let accounts = rows.chunks(2).map(|pair| UserAccounts {
        user: UserId(pair[0].get(1)),
        asset: tollgate_actors::ledger::Asset::Usd,
        credits: AccountId(pair[0].get(0)),
        debt: AccountId(pair[1].get(0)),
    });
    let users: Vec<UserAccounts> = accounts.collect();
    for some in users.chunks(200) {
        let grants = some.iter().map(|user| house.ledger.credit(grant(*user, Nanos::from_whole_usd(1_000))));
        assert!(join_all(grants).await.iter().all(Result::is_ok));
    }
    users
}

#[actix_rt::test]
async fn chaos_batches_carry_many_times_what_single_commits_do() {
    let database = TestDatabase::durable().await;
    let clock = TurnedClock::new();
    let house = House::with_batches_of(BATCH_MAX, &database, &clock).await;
    let users = rich_users(&house, &database).await;
    let seconds = |push| Duration::from_secs(u64::try_from(sized(push)).unwrap());
    let hold = async |house: &House, number: usize| {
        let user = users[(number * 7_919 + fast_random(users.len())) % users.len()];
        drop(house.ledger.hold(hold_of(user, 10)).unwrap().confirm().await.expect("granted"));
    };
    let mut batched = measure("holds, 256 callers", seconds(6), async |number| hold(&house, number).await).await;
    let mut hot = measure("hold + settle, one hot account", seconds(2), async |_| {
        let ticket = house.ledger.hold(hold_of(users[0], 10)).unwrap().confirm().await.expect("granted");
        ticket.settle(record(1)).await.expect("settled");
    })
    .await;
    all_given_back(&database).await;
    house.drain().await;
    let single = House::with_batches_of(1, &database, &clock).await;
    let mut one_by_one = measure("holds in batches of one", seconds(1), async |number| hold(&single, number).await).await;
    all_given_back(&database).await;
    [&mut batched, &mut hot, &mut one_by_one].into_iter().for_each(Rate::print);
    let ratio = batched.per_second() / one_by_one.per_second();
    println!("promise L1: batches carry {ratio:.1}x what single commits do");
    assert!(ratio >= RATIO, "only {ratio:.1}x");
    if sized(1) > 1 && !cfg!(debug_assertions) {
        assert!(batched.per_second() >= HOLDS_PER_SECOND && batched.at(99) <= HOLD_P99, "L1");
        assert!(hot.per_second() >= HOLDS_PER_SECOND, "L2");
    }
    single.assert_clean().await;
}

/// A little spread without a generator in the hot loop.
fn fast_random(below: usize) -> usize {
    usize::from(uuid::Uuid::new_v4().as_bytes()[0]) * below / 256
}

async fn all_given_back(database: &TestDatabase) {
    let open = "SELECT count(*) FROM holds WHERE state = 0";
    eventually("all is given back", async || database.number(open).await == 0).await;
}
