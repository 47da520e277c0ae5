//! Against the machine's real PostgreSQL. Each test has a data folder of its own; none leaves a process.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use super::account::Account;
use super::folder::Places;
use super::*;

/// A data folder that goes with the test.
struct DataDir(PathBuf);

impl DataDir {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tollgate-private-postgres-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn cluster(&self) -> PathBuf {
        self.0.join("postgres/cluster")
    }

    fn postmaster_pid(&self) -> u32 {
        postmaster_pid(&self.cluster())
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl PrivatePostgres {
    /// What a server does that is killed with -9: the lock goes, the PostgreSQL stays.
    fn abandon(mut self) {
        self.stop_on_drop = false;
    }
}

fn postmaster_pid(cluster: &Path) -> u32 {
    fs::read_to_string(cluster.join("postmaster.pid")).unwrap().lines().next().unwrap().parse().unwrap()
}

async fn connect(url: &str) -> Client {
    let (client, driver) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(driver);
    client
}

/// One value through the command-line client, as an operator would ask for it.
fn psql(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql").args([url, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

fn kill_9(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

fn port_of(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_first_start_makes_a_durable_database_for_two_roles_of_unequal_power() {
    let data_dir = DataDir::new();
    let postgres = PrivatePostgres::start(&data_dir.0).await.unwrap();

    let settings = "SELECT current_setting('fsync') || current_setting('data_checksums') || current_setting('server_encoding')
        || current_setting('synchronous_commit') || current_setting('listen_addresses')";
    assert_eq!(psql(postgres.database_url(), settings).unwrap(), "ononUTF8on127.0.0.1");
    assert_eq!(
        psql(postgres.database_url(), "SELECT current_user || '@' || current_database()").unwrap(),
        "tollgate_app@tollgate"
    );

    psql(postgres.admin_url(), "CREATE TABLE history (id int); GRANT SELECT ON history TO tollgate_app").unwrap();
    // Mutant: leaving the application the role that owns the tables turns the next two red.
    assert!(psql(postgres.database_url(), "DELETE FROM history").unwrap_err().contains("permission denied"));
    assert!(psql(postgres.database_url(), "CREATE TABLE own (id int)").unwrap_err().contains("permission denied"));
    assert_eq!(psql(postgres.admin_url(), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").unwrap(), "f");

    let wrong_password = postgres.admin_url().replace("tollgate_owner:", "tollgate_owner:x");
    assert!(psql(&wrong_password, "SELECT 1").unwrap_err().contains("password authentication failed"));
    let connection_file = data_dir.0.join("postgres/connection.json");
    assert_eq!(fs::metadata(connection_file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!format!("{postgres:?}").contains("postgres://"));

    postgres.stop().await;
    assert!(!data_dir.cluster().join("postmaster.pid").exists());
}

#[tokio::test]
async fn a_crashed_postgresql_starts_again_with_all_that_was_committed() {
    let data_dir = DataDir::new();
    let postgres = PrivatePostgres::start(&data_dir.0).await.unwrap();
    psql(postgres.admin_url(), "CREATE TABLE kept AS SELECT 7 AS value").unwrap();
    // A backend that computes does not notice its postmaster's death: the next start fails until it has left.
    let busy = connect(postgres.admin_url()).await;
    busy.batch_execute("SET statement_timeout = '3s'").await.unwrap();
    let computing =
        tokio::spawn(async move { busy.simple_query("SELECT count(*) FROM generate_series(1, 1000000000000)").await });
    while psql(postgres.admin_url(), "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT count%'").unwrap() != "1" {
        tokio::task::yield_now().await;
    }
    kill_9(data_dir.postmaster_pid());
    postgres.abandon();

    // Mutant: STARTS = 1 turns this red ("pre-existing shared memory block is still in use").
    let postgres = PrivatePostgres::start(&data_dir.0).await.unwrap();
    assert_eq!(psql(postgres.database_url(), "SELECT to_regclass('kept') IS NOT NULL").unwrap(), "t");
    assert_eq!(psql(postgres.admin_url(), "SELECT value FROM kept").unwrap(), "7");
    assert!(computing.await.unwrap().is_err());
    postgres.stop().await;
}

#[tokio::test]
async fn the_postgresql_of_a_killed_server_is_adopted_with_its_connections() {
    let data_dir = DataDir::new();
    let killed = PrivatePostgres::start(&data_dir.0).await.unwrap();
    let (url, pid) = (killed.database_url().to_owned(), data_dir.postmaster_pid());
    let client = connect(&url).await;
    killed.abandon();

    let adopting = PrivatePostgres::start(&data_dir.0).await.unwrap();
    assert_eq!(data_dir.postmaster_pid(), pid);
    assert_eq!(adopting.database_url(), url);
    assert!(client.simple_query("SELECT 1").await.is_ok());

    // Mutant: not waiting in `stop` leaves the process alive here.
    adopting.stop().await;
    assert!(fs::read_link(format!("/proc/{pid}/cwd")).is_err());
    assert!(client.simple_query("SELECT 1").await.is_err());
}

#[tokio::test]
async fn a_second_server_on_the_same_data_folder_is_told_so_in_one_line() {
    let data_dir = DataDir::new();
    let first = PrivatePostgres::start(&data_dir.0).await.unwrap();
    // Mutant: without the lock the second server adopts the first one's PostgreSQL, and stops it when it ends.
    let error = PrivatePostgres::start(&data_dir.0).await.unwrap_err().to_string();
    assert!(error.starts_with("another server uses the private PostgreSQL in "), "{error}");
    assert!(!error.contains('\n'), "{error}");
    assert_eq!(psql(first.database_url(), "SELECT 1").unwrap(), "1");
    first.stop().await;
}

#[tokio::test]
async fn servers_side_by_side_have_ports_of_their_own_and_keep_them() {
    let (one, other) = (DataDir::new(), DataDir::new());
    let (first, second) = tokio::join!(PrivatePostgres::start(&one.0), PrivatePostgres::start(&other.0));
    let (first, second) = (first.unwrap(), second.unwrap());
    let (port, url) = (port_of(first.database_url()), second.database_url().to_owned());
    assert_ne!(port, port_of(&url));
    first.stop().await;
    second.stop().await;

    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (first, second) = tokio::join!(PrivatePostgres::start(&one.0), PrivatePostgres::start(&other.0));
    let (first, second) = (first.unwrap(), second.unwrap());
    // Mutant: choosing no new port leaves the first start without an answer.
    assert_ne!(port_of(first.database_url()), port);
    assert_eq!(second.database_url(), url);
    drop(taken);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn leftovers_of_a_crash_do_not_stop_the_next_start() {
    let data_dir = DataDir::new();
    PrivatePostgres::start(&data_dir.0).await.unwrap().stop().await;
    // The number in a stale file belongs to a process that is alive, but not PostgreSQL: this one's parent.
    let parent = std::os::unix::process::parent_id();
    fs::write(data_dir.cluster().join("postmaster.pid"), format!("{parent}\n{}\n0\n1\n\n\n", data_dir.cluster().display()))
        .unwrap();
    let half_made = data_dir.0.join("postgres/cluster.new-1");
    fs::create_dir(&half_made).unwrap();

    // Mutant: keeping the misleading file turns this red for a server that does not run as root.
    let postgres = PrivatePostgres::start(&data_dir.0).await.unwrap();
    assert_eq!(psql(postgres.database_url(), "SELECT 1").unwrap(), "1");
    assert!(!half_made.exists());
    postgres.stop().await;
}

#[tokio::test]
async fn dropping_the_handle_stops_postgresql_too() {
    let data_dir = DataDir::new();
    let postgres = PrivatePostgres::start(&data_dir.0).await.unwrap();
    let pid = data_dir.postmaster_pid();
    drop(postgres);
    assert!(fs::read_link(format!("/proc/{pid}/cwd")).is_err());
}

/// Only root has a user PostgreSQL can't follow; for others the data folder is always fit.
#[tokio::test]
async fn below_a_folder_that_user_postgres_cannot_enter_the_cluster_lives_elsewhere_and_is_found_again() {
    if !Account::find().unwrap().is_another() {
        return;
    }
    let (closed, machine) = (DataDir::new(), DataDir::new());
    fs::set_permissions(&closed.0, fs::Permissions::from_mode(0o700)).unwrap();
    let places = || Places { data_dir: closed.0.join("data"), machine: machine.0.clone() };
    fs::create_dir(closed.0.join("data")).unwrap();
    let clusters = || fs::read_dir(&machine.0).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();

    let postgres = PrivatePostgres::start_at(places()).await.unwrap();
    psql(postgres.admin_url(), "CREATE TABLE kept ()").unwrap();
    assert!(!closed.0.join("data/postgres/cluster").exists());
    let folder = clusters().remove(0);
    let pid = postmaster_pid(&folder.join("cluster"));
    postgres.abandon();
    assert_eq!(postmaster_pid(&folder.join("cluster")), pid);

    let postgres = PrivatePostgres::start_at(places()).await.unwrap();
    psql(postgres.admin_url(), "TABLE kept").unwrap();
    postgres.abandon();

    // The data folder deleted under a running PostgreSQL: a new cluster, the old one ended and kept.
    fs::remove_dir_all(closed.0.join("data")).unwrap();
    fs::create_dir(closed.0.join("data")).unwrap();
    let postgres = PrivatePostgres::start_at(places()).await.unwrap();
    assert!(psql(postgres.admin_url(), "TABLE kept").is_err());
    assert!(folder.join("cluster.kept-1/PG_VERSION").exists());
    assert_eq!(clusters().len(), 1);
    assert!(tokio::time::timeout(Duration::from_secs(5), postgres.stop()).await.is_ok());
}
