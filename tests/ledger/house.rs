//! A ledger on a database of its own, for the tests in this folder.

use chrono::{DateTime, TimeDelta, Utc};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_actors::ledger::{
    self, Asset, BATCH_MAX, Balance, Credit, HoldRequest, Ledger, LedgerActor, LedgerOptions, OPEN_HOLDS_MAX, Source,
    UserAccounts,
};
use tollgate_actors::ports::Clock;
use tollgate_actors::runtime::{Arbiters, Handle, RestartPolicy, Supervision};
use tollgate_domain::{AccountId, HoldId, KeyId, Nanos, OperationId, UserId};
pub use tollgate_ledger_tests::record;
use tollgate_store::ledger::{VerifyOptions, VerifyReport, verify};
use tollgate_store::{Folded, Store, StoreOptions, transactions};
use tollgate_test_database::TestDatabase;
use uuid::Uuid;

/// A clock that stands until it is turned.
pub struct TurnedClock(Mutex<DateTime<Utc>>);

impl TurnedClock {
    pub fn new() -> Arc<Self> {
        #[expect(clippy::disallowed_methods, reason = "a start near the real time, where the partitions are")]
        Arc::new(Self(Mutex::new(Utc::now())))
    }

    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += TimeDelta::from_std(by).unwrap();
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// A running ledger. Several may share a database, as replicas do.
pub struct House {
    pub ledger: Ledger,
    pub actor: Handle<LedgerActor>,
    pub store: Store,
    pub clock: Arc<TurnedClock>,
    pub data_dir: PathBuf,
    io: Option<tokio::runtime::Runtime>,
    arbiters: Option<Arbiters>,
}

impl House {
    pub async fn on(database: &TestDatabase, clock: &Arc<TurnedClock>) -> Self {
        let data_dir = std::env::temp_dir().join(format!("tollgate-ledger-{}", Uuid::now_v7().simple()));
        Self::with_url(database.app_url.clone(), clock, data_dir).await
    }

    /// As [`on`](Self::on), with that many commands in a batch.
    pub async fn with_batches_of(batch_max: usize, database: &TestDatabase, clock: &Arc<TurnedClock>) -> Self {
        let data_dir = std::env::temp_dir().join(format!("tollgate-ledger-{}", Uuid::now_v7().simple()));
        Self::start(database.app_url.clone(), clock, data_dir, batch_max).await
    }

    pub async fn with_url(url: String, clock: &Arc<TurnedClock>, data_dir: PathBuf) -> Self {
        Self::start(url, clock, data_dir, BATCH_MAX).await
    }

    async fn start(url: String, clock: &Arc<TurnedClock>, data_dir: PathBuf, batch_max: usize) -> Self {
        let io = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let store = Store::new(StoreOptions::new(url), io.handle().clone()).unwrap();
        let arbiters = Arbiters::start().unwrap();
        let on_exhausted = Arc::new(|name: &'static str| eprintln!("{name} is given up"));
        let supervision = Supervision { policy: RestartPolicy::default(), on_exhausted };
        let options = LedgerOptions {
            store: store.clone(),
            clock: Arc::<TurnedClock>::clone(clock),
            instance: "test".to_owned(),
            data_dir: data_dir.clone(),
            open_max: OPEN_HOLDS_MAX,
            batch_max,
        };
        let service = ledger::start(&arbiters.hot, &supervision, options).unwrap();
        service.ready.await.unwrap();
        let (ledger, actor) = (service.ledger, service.actor);
        Self { ledger, actor, store, clock: Arc::clone(clock), data_dir, io: Some(io), arbiters: Some(arbiters) }
    }

    /// A user with that many dollars, granted through the ledger.
    pub async fn user(&self, database: &TestDatabase, usd: &str) -> UserAccounts {
        let accounts = new_accounts(database, Asset::Usd).await;
        let amount = Nanos::parse_usd(usd).unwrap();
        if amount > Nanos::ZERO {
            self.ledger.credit(grant(accounts, amount)).await.expect("the grant is written");
        }
        accounts
    }

    pub async fn balance(&self, accounts: UserAccounts) -> Balance {
        self.ledger.balance(accounts).await.expect("a balance")
    }

    pub async fn verify(&self) -> VerifyReport {
        verify(&self.store, VerifyOptions::default()).await.expect("the proof runs")
    }

    /// Folds history into the totals of credits, to its end.
    pub async fn fold(&self) {
        while transactions::fold(&self.store, self.clock.now()).await.expect("a fold") == Folded::More {}
    }

    /// Promise L9: books that balance, totals that are their sums, and nothing left open.
    pub async fn assert_clean(&self) {
        self.fold().await;
        let report = self.verify().await;
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.open_holds, 0, "{report}");
    }

    /// Ends it as `kill -9` does: what is in memory is lost, what is in the data folder stays. Returns the folder.
    pub async fn kill(mut self) -> PathBuf {
        let data_dir = std::mem::take(&mut self.data_dir);
        if let Some(io) = self.io.take() {
            // Waits for the writer's end, so that the next one can open the journal.
            tokio::task::spawn_blocking(move || io.shutdown_timeout(Duration::from_secs(5))).await.unwrap();
        }
        data_dir
    }

    /// Ends the ledger in order.
    pub async fn drain(mut self) {
        self.actor.drain(Duration::from_secs(10)).await.expect("the ledger drains");
        if let Some(arbiters) = self.arbiters.take() {
            assert!(arbiters.stop(Duration::from_secs(5)).await);
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(io) = self.io.take() {
            io.shutdown_background();
        }
        if !self.data_dir.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.data_dir);
        }
    }
}

/// Accounts of a new user, empty.
pub async fn new_accounts(database: &TestDatabase, asset: Asset) -> UserAccounts {
    let admin = database.connect().await;
    let user: i64 = admin.query_one("SELECT coalesce(max(user_id), 0) + 1 FROM accounts", &[]).await.unwrap().get(0);
    let make = "INSERT INTO accounts (kind, asset, user_id) VALUES ($1::text, $2::text, $3) RETURNING id";
    let credits: i64 = admin.query_one(make, &[&"user", &asset.as_str(), &user]).await.unwrap().get(0);
    let debt: i64 = admin.query_one(make, &[&"debt", &asset.as_str(), &user]).await.unwrap().get(0);
    UserAccounts { user: UserId(user), asset, credits: AccountId(credits), debt: AccountId(debt) }
}

pub fn grant(accounts: UserAccounts, amount: Nanos) -> Credit {
    Credit {
        id: OperationId(Uuid::now_v7()),
        accounts,
        amount,
        source: Source::Grants,
        kind: "admin_credit",
        description: "for a test".to_owned(),
    }
}

pub fn hold_of(accounts: UserAccounts, nanos: i64) -> HoldRequest {
    HoldRequest {
        id: HoldId(Uuid::now_v7()),
        accounts,
        key: KeyId(1),
        budget: None,
        amount: Nanos(nanos),
        least: Nanos(nanos),
        lifetime: Duration::from_secs(120),
        patient: false,
    }
}

/// The push size, or ten times that with `CHAOS=long`.
pub fn sized(push: usize) -> usize {
    if std::env::var("CHAOS").is_ok_and(|size| size == "long") { 10 * push } else { push }
}

/// `SEED`, or a new one; tests print it when they fail.
pub fn seed() -> u64 {
    std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("SEED is a number"))
}

/// Waits, for five seconds at most, until it is so.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within five seconds: {what}");
}
