//! A database for each test: a copy of a template that is migrated once per state of `migrations/`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that has no database stops at once")]

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_postgres::{Client, NoTls};
use tollgate_store::migrate::{Direction, migrate};

/// Any number that no one else locks: one test makes the template, the others wait.
const TEMPLATE_LOCK: i64 = 5_128_763_390_417;

/// A database of one test; dropped with it.
#[derive(Debug)]
pub struct TestDatabase {
    pub name: String,
    /// Its cluster's superuser, in database `postgres`.
    cluster_url: String,
    /// Role `tollgate_app`, as the server uses it.
    pub app_url: String,
    /// Role `tollgate_owner`, which migrates.
    pub owner_url: String,
    /// The superuser's.
    pub super_url: String,
}

impl TestDatabase {
    /// A migrated, empty database on the run's fast cluster (fsync off).
    pub async fn create() -> Self {
        Self::on(superuser_url()).await
    }

    /// A migrated, empty database on the run's durable cluster (fsync on), for rates and kill tests.
    pub async fn durable() -> Self {
        Self::on(std::env::var("TEST_DURABLE_DATABASE_URL").expect("`cargo nextest run` sets TEST_DURABLE_DATABASE_URL")).await
    }

    /// A migrated, empty database on the cluster of that superuser.
    pub async fn on(super_url: String) -> Self {
        let maintenance = connect(&super_url).await;
        let template = ensure_template(&maintenance, &super_url).await;
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("tollgate_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let copy = format!("CREATE DATABASE {name} TEMPLATE {template} OWNER tollgate_owner");
        maintenance.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
        maintenance.batch_execute(&copy).await.expect("the template is copied");
        Self {
            app_url: address(&super_url, "tollgate_app", &name),
            owner_url: address(&super_url, "tollgate_owner", &name),
            super_url: address(&super_url, "postgres", &name),
            cluster_url: super_url,
            name,
        }
    }

    /// As if the database were gone: no one gets in, and those who are in are thrown out.
    pub async fn refuse_connections(&self) {
        let maintenance = connect(&self.cluster_url).await;
        let name = &self.name;
        let refuse = format!(
            "ALTER DATABASE {name} ALLOW_CONNECTIONS false;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        // Not in one transaction: the first must be seen before the second throws out.
        for statement in refuse.split(';') {
            maintenance.batch_execute(statement).await.unwrap();
        }
    }

    /// Undoes [`refuse_connections`](Self::refuse_connections).
    pub async fn accept_connections(&self) {
        let accept = format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name);
        connect(&self.cluster_url).await.batch_execute(&accept).await.unwrap();
    }

    /// A superuser's connection to it.
    pub async fn connect(&self) -> Client {
        connect(&self.super_url).await
    }

    /// The one number that the query answers.
    pub async fn number(&self, query: &str) -> i64 {
        self.connect().await.query_one(query, &[]).await.expect("a number").get(0)
    }
}

impl Drop for TestDatabase {
    /// On a thread of its own: a runtime may be ending around us.
    fn drop(&mut self) {
        let (maintenance, drop) = (self.cluster_url.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { connect(&maintenance).await.batch_execute(&drop).await })
        });
        // What is left behind, the next run's sweep finds.
        let _ = dropping.join();
    }
}

/// Where a superuser connects: `TEST_DATABASE_URL`, which `make test` and nextest set; else a throw-away cluster is started.
pub fn superuser_url() -> String {
    static STARTED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    STARTED.get_or_init(|| std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| start_cluster())).clone()
}

fn start_cluster() -> String {
    let script = in_repository("deploy/dev/test-postgres.sh");
    let owner = std::process::id().to_string();
    let output = Command::new(&script).args(["start", "--owner", &owner]).output();
    let output =
        output.unwrap_or_else(|error| panic!("TEST_DATABASE_URL is not set, and {} does not run: {error}", script.display()));
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .strip_prefix("TEST_DATABASE_URL=")
        .unwrap_or_else(|| panic!("TEST_DATABASE_URL is not set: {}", String::from_utf8_lossy(&output.stderr)))
        .to_owned()
}

/// The same server and password, another role and database: all test roles have the superuser's password.
fn address(super_url: &str, role: &str, database: &str) -> String {
    let (_, rest) = super_url.split_once("://").expect("a URL");
    let (credentials, server) = rest.rsplit_once('@').expect("user and password");
    let (_, password) = credentials.split_once(':').expect("a password");
    let (host, _) = server.split_once('/').unwrap_or((server, ""));
    format!("postgres://{role}:{password}@{host}/{database}")
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the tests' PostgreSQL answers");
    tokio::spawn(connection);
    client
}

/// Makes the template unless it is there, and removes what is no longer of use.
async fn ensure_template(maintenance: &Client, super_url: &str) -> String {
    let name = format!("tollgate_template_{}", hash_of_migrations());
    if exists(maintenance, &name).await {
        return name;
    }
    maintenance.execute("SELECT pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
    if !exists(maintenance, &name).await {
        sweep(maintenance).await;
        let making = format!("{name}_making");
        maintenance.batch_execute(&format!("DROP DATABASE IF EXISTS {making} WITH (FORCE)")).await.unwrap();
        maintenance.batch_execute(&format!("CREATE DATABASE {making} OWNER tollgate_owner")).await.unwrap();
        migrate_elsewhere(address(super_url, "tollgate_owner", &making));
        // Only a finished template has the name that others look for. Ours was the last connection, but its end may linger.
        let closed = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{making}'");
        maintenance.batch_execute(&closed).await.unwrap();
        maintenance.batch_execute(&format!("ALTER DATABASE {making} RENAME TO {name}")).await.unwrap();
    }
    maintenance.execute("SELECT pg_advisory_unlock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
    name
}

/// diesel's harness wants a multi-thread runtime; tests have a single thread.
fn migrate_elsewhere(url: String) {
    let migrating = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(migrate(&url, Direction::Up))
    });
    migrating.join().unwrap().expect("the migrations run");
}

async fn exists(maintenance: &Client, name: &str) -> bool {
    let found = maintenance.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await.unwrap();
    found.is_some()
}

/// Templates of other migrations, and databases of test processes that are gone.
async fn sweep(maintenance: &Client) {
    let query = r"SELECT datname FROM pg_database WHERE datname LIKE 'tollgate\_template\_%' OR datname LIKE 'tollgate\_test\_%'";
    for row in maintenance.query(query, &[]).await.unwrap() {
        let name: String = row.get(0);
        let owner = name.strip_prefix("tollgate_test_").and_then(|rest| rest.split('_').next());
        let in_use = owner.is_some_and(|pid| Path::new("/proc").join(pid).exists());
        if !in_use {
            let _ = maintenance.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }
}

/// A path in the repository, from any package of it.
fn in_repository(path: &str) -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.map(|folder| folder.join(path)).find(|path| path.exists()).expect("a path in the repository")
}

fn hash_of_migrations() -> String {
    let mut files: Vec<_> =
        std::fs::read_dir(in_repository("migrations")).unwrap().map(|entry| entry.unwrap().path().join("up.sql")).collect();
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(std::fs::read(file).unwrap_or_default());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
