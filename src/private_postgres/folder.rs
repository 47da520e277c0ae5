//! Where the private cluster lives: `<DATA_DIR>/postgres`, or a folder of the machine when user `postgres` can't get there.
//! Holds `connection.json`, `lock`, `postgres.log` and the cluster itself; only the cluster belongs to user `postgres`.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::PrivatePostgresError;
use super::account::Account;
use super::connection::Connection;
use super::error::file_error;

/// Where clusters go whose data folder user `postgres` can't enter, as below root's home.
const MACHINE_FOLDER: &str = "/var/lib/tollgate";

/// The folders to choose from; both absolute.
pub(super) struct Places {
    pub data_dir: PathBuf,
    pub machine: PathBuf,
}

impl Places {
    /// Makes the data folder when it is missing.
    pub fn of(data_dir: &Path) -> Result<Self, PrivatePostgresError> {
        fs::create_dir_all(data_dir).map_err(file_error("make", data_dir))?;
        let data_dir = data_dir.canonicalize().map_err(file_error("find", data_dir))?;
        Ok(Self { data_dir, machine: PathBuf::from(MACHINE_FOLDER) })
    }

    /// Found again by the path of the data folder.
    fn elsewhere(&self) -> PathBuf {
        let digest = Sha256::digest(self.data_dir.as_os_str().as_bytes());
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.machine.join(name)
    }
}

/// The folder of one cluster, locked against other servers as long as this value lives.
/// The kernel frees the lock of a killed server.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The same, when not in the data folder.
    elsewhere: Option<PathBuf>,
    connection_file: PathBuf,
    _lock: File,
}

impl Folder {
    /// With the connection of the cluster in it; `None` on first use.
    pub fn open(places: &Places, account: &Account) -> Result<(Self, Option<Connection>), PrivatePostgresError> {
        let own = places.data_dir.join("postgres");
        make_folder(&own, account)?;
        let connection_file = own.join("connection.json");
        let known = read_connection(&connection_file)?;
        let elsewhere = match &known {
            Some(connection) => connection.elsewhere.clone(),
            None => choose_elsewhere(places, &own, account)?,
        };
        let path = elsewhere.clone().unwrap_or(own);
        make_folder(&path, account)?;
        if !account.can_reach(&path) {
            return Err(PrivatePostgresError::Unreachable { cluster: path });
        }
        let folder = Self { _lock: lock(&path)?, path, elsewhere, connection_file };
        folder.sweep_unfinished();
        // Read again under the lock: another server may have made its first start meanwhile.
        let known = read_connection(&folder.connection_file)?;
        Ok((folder, known))
    }

    pub fn cluster(&self) -> PathBuf {
        self.path.join("cluster")
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("postgres.log")
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes through a new file and a rename: a crash leaves the old content or the new.
    pub fn remember(&self, connection: &Connection) -> Result<(), PrivatePostgresError> {
        let fresh = self.connection_file.with_extension("new");
        let text = serde_json::to_vec_pretty(connection).map_err(std::io::Error::from).map_err(file_error("write", &fresh))?;
        write_secret(&fresh, &text).map_err(file_error("write", &fresh))?;
        fs::rename(&fresh, &self.connection_file).map_err(file_error("write", &self.connection_file))
    }

    /// Makes the passwords, which are there before the cluster is. No PostgreSQL may be running here.
    pub fn first_use(&self) -> Result<Connection, PrivatePostgresError> {
        self.set_aside_orphan()?;
        let connection = Connection::new(self.elsewhere.clone());
        self.remember(&connection)?;
        Ok(connection)
    }

    /// A cluster without passwords belonged to a data folder that someone deleted. It may hold what somebody misses: kept.
    fn set_aside_orphan(&self) -> Result<(), PrivatePostgresError> {
        let cluster = self.cluster();
        if !cluster.exists() {
            return Ok(());
        }
        let kept = (1_u32..)
            .map(|number| self.path.join(format!("cluster.kept-{number}")))
            .find(|path| !path.exists())
            .unwrap_or_else(|| self.path.join("cluster.kept"));
        warn!(kept = %kept.display(), "the passwords of a former private PostgreSQL are gone: starting a new one");
        fs::rename(&cluster, &kept).map_err(file_error("move", &cluster))
    }

    /// Removes what an interrupted `initdb` left.
    fn sweep_unfinished(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("cluster.new-") {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// `None`: the cluster can live in the data folder.
fn choose_elsewhere(places: &Places, own: &Path, account: &Account) -> Result<Option<PathBuf>, PrivatePostgresError> {
    open_to(&places.data_dir, account)?;
    if account.can_reach(own) {
        return Ok(None);
    }
    let elsewhere = places.elsewhere();
    info!(
        folder = %elsewhere.display(),
        "user postgres can't enter {}: the private PostgreSQL lives elsewhere",
        places.data_dir.display()
    );
    fs::create_dir_all(&places.machine).map_err(file_error("make", &places.machine))?;
    Ok(Some(elsewhere))
}

/// Lets user `postgres` pass through our data folder, without listing it.
fn open_to(folder: &Path, account: &Account) -> Result<(), PrivatePostgresError> {
    if !account.is_another() {
        return Ok(());
    }
    let mode = fs::metadata(folder).map_err(file_error("look at", folder))?.permissions().mode();
    fs::set_permissions(folder, Permissions::from_mode(mode | 0o011)).map_err(file_error("open", folder))
}

fn make_folder(path: &Path, account: &Account) -> Result<(), PrivatePostgresError> {
    fs::create_dir_all(path).map_err(file_error("make", path))?;
    let mode = if account.is_another() { 0o711 } else { 0o700 };
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(file_error("set the mode of", path))
}

fn lock(folder: &Path) -> Result<File, PrivatePostgresError> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(file_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PrivatePostgresError::InUse { folder: folder.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(file_error("lock", &path)(error)),
    }
}

pub(super) fn read_connection(path: &Path) -> Result<Option<Connection>, PrivatePostgresError> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(std::io::Error::from).map_err(file_error("read", path)).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error("read", path)(error)),
    }
}

/// Never readable by others, not even for a moment; on disk when it returns.
pub(super) fn write_secret(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
