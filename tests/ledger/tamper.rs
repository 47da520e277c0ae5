//! Promise L8: the application can't change history, and who can is found out.

use crate::budgets::{new_budget, under};
use crate::house::{House, TurnedClock, eventually, grant, hold_of, new_accounts, record, seed, sized};
use crate::tampering::{TABLES, changes_of_all_columns, some_tampering};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio_postgres::{Client, NoTls};
use tollgate_actors::ledger::{Asset, ConfirmedTicket};
use tollgate_domain::Nanos;
use tollgate_store::Store;
use tollgate_store::ledger::{Anchor, VerifyOptions, verify};
use tollgate_test_database::TestDatabase;

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Two replicas, both assets, debts made and repaid, budgets, holds of every state, some of them open.
async fn a_history(first: &House, second: &House, database: &TestDatabase) -> Vec<ConfirmedTicket> {
    let mut open = Vec::new();
    for asset in [Asset::Usd, Asset::Tokens] {
        for _ in 0..3 {
            let user = new_accounts(database, asset).await;
            for house in [first, second] {
                house.ledger.credit(grant(user, Nanos(200))).await.unwrap();
                let hold = async || house.ledger.hold(hold_of(user, 30)).unwrap().confirm().await.unwrap();
                let (settled, released, kept) = (hold().await, hold().await, hold().await);
                settled.settle(record(21)).await.unwrap();
                released.release();
                open.push(kept);
            }
            let dear = first.ledger.hold(hold_of(user, 30)).unwrap().confirm().await.unwrap();
            assert!(dear.settle(record(1_000)).await.unwrap().debt > Nanos::ZERO);
            second.ledger.credit(grant(user, Nanos(900))).await.unwrap();
        }
    }
    let user = first.user(database, "1").await;
    for limit in [100, 200] {
        let budget = new_budget(database, user, limit).await;
        let hold = async || first.ledger.hold(under(budget, user, 30)).unwrap().confirm().await.unwrap();
        hold().await.settle(record(21)).await.unwrap();
        open.push(hold().await);
    }
    let refused = first.ledger.hold(hold_of(new_accounts(database, Asset::Usd).await, 30)).unwrap().confirm().await;
    assert!(refused.is_err());
    open
}

#[actix_rt::test]
async fn the_applications_role_cannot_change_history_nor_its_partitions() {
    let database = TestDatabase::create().await;
    let house = House::on(&database, &TurnedClock::new()).await;
    let user = house.user(&database, "1").await;
    let ticket = house.ledger.hold(hold_of(user, 30)).unwrap().confirm().await.unwrap();
    ticket.settle(record(7)).await.unwrap();
    let parts = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent IN ('transfers'::regclass, 'usage_records'::regclass)";
    let admin = database.connect().await;
    let parts = admin.query(parts, &[]).await.unwrap();
    let mut tables: Vec<String> = parts.iter().map(|row| row.get(0)).collect();
    assert!(tables.len() >= 8, "three months and the default of both: {tables:?}");
    tables.extend(["transfers", "usage_records", "ledger_batches", "operations"].map(str::to_owned));
    let app = connect(&database.app_url).await;
    for table in tables {
        for attempt in [
            format!("UPDATE {table} SET slot = slot"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
            format!("DROP TABLE {table}"),
            format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
        ] {
            assert!(app.batch_execute(&attempt).await.is_err(), "{attempt}");
        }
        // Two walls: no right to, and a trigger that refuses also the owner.
        for right in ["UPDATE", "DELETE", "TRUNCATE"] {
            let has = "SELECT has_table_privilege('tollgate_app', $1, $2)";
            assert!(!admin.query_one(has, &[&table, &right]).await.unwrap().get::<_, bool>(0), "{right} on {table}");
        }
        let owner = connect(&database.owner_url).await;
        for attempt in [format!("UPDATE {table} SET slot = slot"), format!("DELETE FROM {table}"), format!("TRUNCATE {table}")] {
            let refused = owner.batch_execute(&attempt).await.expect_err(&attempt);
            assert!(refused.as_db_error().is_some_and(|it| it.message().contains("append-only")), "{attempt}: {refused:?}");
        }
    }
    assert!(app.batch_execute("SET session_replication_role = replica").await.is_err());
    house.assert_clean().await;
}

// Mutants, each red: `prove_anchors` not called; `at_its_time` left out of `Rows::prove`; each law of `LAWS` left out, but for
// the ones of zero holds and of a usage's transfers, which say again what the chain and other laws say.
#[actix_rt::test]
async fn every_one_of_a_hundred_random_tamperings_is_found() {
    let books = Tampered::new().await;
    let seed = seed();
    let mut dice = StdRng::seed_from_u64(seed);
    let mut done = 0;
    while done < sized(100) {
        let tampering = some_tampering(&books.admin, &mut dice).await;
        let Some(is_found) = books.finds(&tampering).await else { continue };
        assert!(is_found, "not found, SEED={seed}, number {done}: {tampering}");
        done += 1;
    }
    books.assert_clean().await;
    println!("promise L8: {done} random tamperings, {done} found (seed {seed})");
}

// Mutant, red: a link without the model's maker, or without the session.
#[actix_rt::test]
async fn a_change_of_any_column_of_history_is_found() {
    let books = Tampered::new().await;
    let changes = changes_of_all_columns(&books.admin, &mut StdRng::seed_from_u64(seed())).await;
    for change in &changes {
        assert!(books.finds(change).await.is_none_or(|is_found| is_found), "not found: {change}");
    }
    assert!(changes.len() > 40, "{changes:?}");
    books.assert_clean().await;
}

/// Books with a copy beside them, to be changed and put back.
struct Tampered {
    store: Store,
    admin: Client,
    anchors: Vec<Anchor>,
    _houses: (House, House, TestDatabase),
    _open: Vec<ConfirmedTicket>,
}

impl Tampered {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let clock = TurnedClock::new();
        let (first, second) = (House::on(&database, &clock).await, House::on(&database, &clock).await);
        let open = a_history(&first, &second, &database).await;
        let released = "SELECT count(*) FROM holds WHERE state = 2";
        eventually("the books stand still", async || database.number(released).await == 12).await;
        let before = first.verify().await;
        assert!(before.is_clean(), "{before}");
        assert_eq!(before.heads.len(), 2);
        let (store, admin) = (first.store.clone(), database.connect().await);
        keep_copies(&admin).await;
        Self { store, admin, anchors: before.heads, _houses: (first, second, database), _open: open }
    }

    /// Is this change found? It is undone again. `None`: a CHECK refuses it.
    async fn finds(&self, tampering: &str) -> Option<bool> {
        let off = format!("BEGIN; SET LOCAL session_replication_role = replica; {tampering}; COMMIT");
        if self.admin.batch_execute(&off).await.is_err() {
            self.admin.batch_execute("ROLLBACK").await.unwrap();
            return None;
        }
        let report = verify(&self.store, VerifyOptions { anchors: self.anchors.clone() }).await.unwrap();
        put_back(&self.admin).await;
        Some(!report.is_clean())
    }

    async fn assert_clean(&self) {
        let after = verify(&self.store, VerifyOptions { anchors: self.anchors.clone() }).await.unwrap();
        assert!(after.is_clean(), "{after}");
    }
}

async fn keep_copies(admin: &Client) {
    for (table, _) in TABLES {
        admin.batch_execute(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await.unwrap();
    }
}

async fn put_back(admin: &Client) {
    let mut all = "BEGIN; SET LOCAL session_replication_role = replica;".to_owned();
    for (table, _) in TABLES {
        all += &format!("DELETE FROM {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM kept_{table};");
    }
    admin.batch_execute(&format!("{all} COMMIT")).await.unwrap();
}
