//! One PostgreSQL cluster: made, started or adopted, stopped.
//!
//! Whether it runs is read from `postmaster.pid` and proved by `/proc/<pid>/cwd`, since a postmaster stands in its data folder:
//! after a crash the file names a process that is gone, or whose number another one has got.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};
use tracing::warn;

use super::PrivatePostgresError;
use super::account::Account;
use super::binaries::Binaries;
use super::connection::{Connection, SUPERUSER};
use super::error::file_error;
use super::folder::{Folder, write_secret};

/// How long `pg_ctl stop` waits, for the fast mode and once more for the immediate one.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Recovery after a crash replays up to `max_wal_size`.
const START_LIMIT: Duration = Duration::from_secs(120);
/// After a crash of the postmaster its last backends may live on for seconds, and a new one refuses to start beside them.
const STARTS: u32 = 60;
const PAUSE_BETWEEN_STARTS: Duration = Duration::from_millis(500);
const PAUSE_BETWEEN_LOOKS: Duration = Duration::from_millis(25);
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What differs from PostgreSQL's defaults. Errors are logged without DETAIL, which quotes rows.
const SETTINGS: [(&str, &str); 15] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("password_encryption", "scram-sha-256"),
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    ("shared_buffers", "256MB"),
    ("wal_compression", "on"),
    ("max_wal_size", "2GB"),
    ("min_wal_size", "1GB"),
    ("max_connections", "200"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_checkpoints", "off"),
    ("log_error_verbosity", "terse"),
];

pub(super) enum Origin {
    Started,
    Adopted,
}

#[derive(Debug)]
pub(super) struct Cluster {
    data: PathBuf,
    log: PathBuf,
    account: Account,
    binaries: Binaries,
}

/// A live postmaster of this cluster; the port is missing for its first moments.
struct Postmaster {
    port: Option<u16>,
}

impl Cluster {
    pub fn new(data: PathBuf, log: PathBuf, account: Account, binaries: Binaries) -> Self {
        Self { data, log, account, binaries }
    }

    pub fn exists(&self) -> bool {
        self.data.exists()
    }

    /// Runs `initdb` beside the final place and renames at the end, so that a crash leaves no half cluster.
    pub async fn initialise(&self, folder: &Folder, password: &str) -> Result<(), PrivatePostgresError> {
        let fresh = self.data.with_extension(format!("new-{}", std::process::id()));
        fs::create_dir(&fresh).map_err(file_error("make", &fresh))?;
        self.account.give(&fresh).map_err(file_error("hand over", &fresh))?;
        let password_file = folder.path().join("initdb-password");
        write_secret(&password_file, password.as_bytes())
            .and_then(|()| self.account.give(&password_file))
            .map_err(file_error("write", &password_file))?;
        let mut command = self.command("initdb");
        command.args(["--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=scram-sha-256", "--username", SUPERUSER]);
        command.arg("--pwfile").arg(&password_file).arg("--pgdata").arg(&fresh);
        let outcome = run("initdb", command).await;
        fs::remove_file(&password_file).map_err(file_error("remove", &password_file))?;
        outcome?;
        fs::rename(&fresh, &self.data).map_err(file_error("make", &self.data))
    }

    /// Returns a superuser's connection when the cluster answers, and leaves the port it listens on in `connection`.
    pub async fn bring_up(&self, connection: &mut Connection) -> Result<(Client, Origin), PrivatePostgresError> {
        let silent = PrivatePostgresError::Silent { limit_s: START_LIMIT.as_secs(), log: self.log.clone() };
        timeout(START_LIMIT, self.start_or_adopt(connection)).await.unwrap_or(Err(silent))
    }

    async fn start_or_adopt(&self, connection: &mut Connection) -> Result<(Client, Origin), PrivatePostgresError> {
        let mut started: Option<Child> = None;
        let mut starts_left = STARTS;
        loop {
            if let Some(postmaster) = self.postmaster() {
                if let Some(client) = postmaster.answer(connection).await? {
                    let origin = if started.is_some() { Origin::Started } else { Origin::Adopted };
                    return Ok((client, origin));
                }
            } else if has_ended(started.as_mut()) {
                if starts_left == 0 {
                    return Err(PrivatePostgresError::Program { program: "postgres", last_line: self.last_log_line() });
                }
                if started.is_some() {
                    sleep(PAUSE_BETWEEN_STARTS).await;
                }
                starts_left -= 1;
                started = Some(self.spawn(connection)?);
            }
            sleep(PAUSE_BETWEEN_LOOKS).await;
        }
    }

    /// In a process group of its own: a Ctrl-C in the terminal is for the server, which needs its database while it drains.
    fn spawn(&self, connection: &mut Connection) -> Result<Child, PrivatePostgresError> {
        connection.choose_port().map_err(file_error("find a port for", &self.data))?;
        self.remove_misleading_pid_file();
        let log = self.open_log().map_err(file_error("write", &self.log))?;
        let errors = log.try_clone().map_err(file_error("write", &self.log))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data).arg("-p").arg(connection.port.to_string());
        for (name, value) in SETTINGS {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.process_group(0).stdout(log).stderr(errors).spawn().map_err(file_error("start postgres on", &self.data))
    }

    /// The running postmaster, whoever started it.
    fn postmaster(&self) -> Option<Postmaster> {
        let (pid, port) = read_pid_file(&self.data)?;
        let stands_here = fs::read_link(format!("/proc/{pid}/cwd")).ok()? == self.data.canonicalize().ok()?;
        stands_here.then_some(Postmaster { port })
    }

    /// PostgreSQL sees through a dead number in the file but not through one that lives again as another process. Its second
    /// guard, shared memory keyed by the data folder's inode, still keeps two postmasters apart.
    fn remove_misleading_pid_file(&self) {
        let lives = read_pid_file(&self.data).is_some_and(|(pid, _)| Path::new(&format!("/proc/{pid}")).exists());
        if lives && self.postmaster().is_none() {
            warn!(cluster = %self.data.display(), "postmaster.pid names another process: removed");
            let _ = fs::remove_file(self.data.join("postmaster.pid"));
        }
    }

    pub async fn stop(&self) -> Result<(), PrivatePostgresError> {
        for mode in ["fast", "immediate"] {
            if self.postmaster().is_none() {
                return Ok(());
            }
            if let Err(error) = run("pg_ctl", self.stop_command(mode).into()).await {
                warn!(%error, mode, "private PostgreSQL stops slowly");
            }
        }
        match self.postmaster() {
            None => Ok(()),
            Some(_) => Err(PrivatePostgresError::Program { program: "pg_ctl", last_line: self.last_log_line() }),
        }
    }

    /// For `Drop`, which can't await.
    pub fn stop_blocking(&self) {
        if self.postmaster().is_some()
            && let Err(error) = self.stop_command("fast").output()
        {
            warn!(%error, "private PostgreSQL did not stop");
        }
    }

    fn stop_command(&self, mode: &str) -> std::process::Command {
        let mut command = self.account.command(self.binaries.program("pg_ctl"));
        command.args(["stop", "--wait", "--mode", mode, "--timeout"]).arg(STOP_LIMIT.as_secs().to_string());
        command.arg("--pgdata").arg(&self.data);
        command
    }

    fn command(&self, program: &str) -> Command {
        self.account.command(self.binaries.program(program)).into()
    }

    /// PostgreSQL writes little here; a log that grew all the same is begun anew.
    fn open_log(&self) -> std::io::Result<File> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        if log.metadata()?.len() > LOG_BYTES_MAX {
            log.set_len(0)?;
        }
        Ok(log)
    }

    /// The cause of a failed start.
    fn last_log_line(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let line = log.lines().rev().find(|line| line.contains("FATAL:")).or_else(|| log.lines().next_back());
        line.unwrap_or("no log").to_owned()
    }
}

impl Postmaster {
    /// `None`: it is still starting, recovering or leaving. A wrong password is an error at once: waiting does not cure it.
    async fn answer(&self, connection: &mut Connection) -> Result<Option<Client>, PrivatePostgresError> {
        let Some(port) = self.port else { return Ok(None) };
        let mut config = Config::new();
        config.host("127.0.0.1").port(port).user(SUPERUSER).password(&connection.superuser_password).dbname("postgres");
        config.connect_timeout(Duration::from_secs(5));
        match config.connect(NoTls).await {
            Ok((client, driver)) => {
                tokio::spawn(driver);
                connection.port = port;
                Ok(Some(client))
            }
            Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }
}

/// The major version that wrote the cluster, with its path for messages; `None`: there is no cluster yet.
pub(super) fn written_by(data: &Path) -> Result<Option<(PathBuf, u32)>, PrivatePostgresError> {
    if !data.exists() {
        return Ok(None);
    }
    let path = data.join("PG_VERSION");
    let text = fs::read_to_string(&path).map_err(file_error("read", &path))?;
    Ok(text.trim().parse().ok().map(|major| (data.to_path_buf(), major)))
}

/// Process id (line 1) and, once written, port (line 4) of `postmaster.pid`.
fn read_pid_file(data: &Path) -> Option<(u32, Option<u16>)> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    Some((pid, lines.nth(2).and_then(|line| line.trim().parse().ok())))
}

/// Also true before the first start.
fn has_ended(child: Option<&mut Child>) -> bool {
    child.is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
}

async fn run(program: &'static str, mut command: Command) -> Result<(), PrivatePostgresError> {
    let failed = |last_line: String| PrivatePostgresError::Program { program, last_line };
    let output = command.output().await.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(failed(errors.trim().lines().next_back().unwrap_or("no message").to_owned()))
}
