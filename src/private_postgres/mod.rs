//! The server's private PostgreSQL: what an unset `DATABASE_URL` means.
//!
//! A cluster of its own under `<DATA_DIR>/postgres`, run from the machine's PostgreSQL binaries, on 127.0.0.1 and a free port
//! that the folder remembers, with random passwords. It is as durable as any other PostgreSQL: fsync and checksums are on.
//! A server that was killed leaves its PostgreSQL running; the next one adopts it.

mod account;
mod binaries;
mod cluster;
mod connection;
mod error;
mod folder;
mod roles;
mod visit;

use std::fmt;
use std::path::Path;

use tracing::{info, warn};

use self::account::Account;
use self::binaries::Binaries;
use self::cluster::{Cluster, Origin};
use self::connection::Connection;
pub use self::error::PrivatePostgresError;
use self::folder::{Folder, Places};

/// The database that holds everything.
const DATABASE: &str = "tollgate";
/// The role that owns the database and runs migrations.
const OWNER_ROLE: &str = "tollgate_owner";
/// The role of the application; what it may do is granted by the migrations.
const APP_ROLE: &str = "tollgate_app";

/// A running private PostgreSQL. Dropped without [`stop`](Self::stop), it is stopped all the same, blocking the dropping thread.
pub struct PrivatePostgres {
    cluster: Cluster,
    database_url: String,
    admin_url: String,
    stop_on_drop: bool,
    // Declared last, so dropped last: the next server must not find a PostgreSQL that is about to leave.
    _folder: Folder,
}

impl PrivatePostgres {
    /// Starts the cluster of `data_dir`, or adopts the one that a killed server left running; makes cluster, roles and database
    /// `tollgate` on first use. Returns when the database answers. Needs a tokio runtime with I/O and time.
    pub async fn start(data_dir: &Path) -> Result<Self, PrivatePostgresError> {
        Self::start_at(Places::of(data_dir)?).await
    }

    async fn start_at(places: Places) -> Result<Self, PrivatePostgresError> {
        let account = Account::find()?;
        let (folder, known) = Folder::open(&places, &account)?;
        let data = folder.cluster();
        let binaries = Binaries::find(&account, cluster::written_by(&data)?).await?;
        let cluster = Cluster::new(data, folder.log(), account, binaries);
        let mut connection = match known {
            Some(connection) => connection,
            None => {
                cluster.stop().await?;
                folder.first_use()?
            }
        };
        if !cluster.exists() {
            cluster.initialise(&folder, &connection.superuser_password).await?;
        }
        match open_for_use(&cluster, &folder, &mut connection).await {
            Ok(()) => Ok(Self {
                cluster,
                database_url: connection.url(APP_ROLE, &connection.app_password),
                admin_url: connection.url(OWNER_ROLE, &connection.owner_password),
                stop_on_drop: true,
                _folder: folder,
            }),
            Err(error) => {
                // The start's own error is the one to report.
                let _ = cluster.stop().await;
                Err(error)
            }
        }
    }

    /// Where the application connects: role `tollgate_app`, password included.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Where migrations connect (`DATABASE_ADMIN_URL`): role `tollgate_owner`, password included.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// Fast shutdown: open transactions are rolled back. Waits at most 30 s, and as long again for an immediate one.
    /// A failure is logged.
    pub async fn stop(mut self) {
        self.stop_on_drop = false;
        match self.cluster.stop().await {
            Ok(()) => info!("private PostgreSQL stopped"),
            Err(error) => warn!(%error, "private PostgreSQL did not stop"),
        }
    }
}

async fn open_for_use(cluster: &Cluster, folder: &Folder, connection: &mut Connection) -> Result<(), PrivatePostgresError> {
    let (superuser, origin) = cluster.bring_up(connection).await?;
    folder.remember(connection)?;
    roles::ensure(&superuser, connection).await?;
    match origin {
        Origin::Started => info!(port = connection.port, "private PostgreSQL started"),
        Origin::Adopted => info!(port = connection.port, "private PostgreSQL of a killed server adopted"),
    }
    Ok(())
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if self.stop_on_drop {
            self.cluster.stop_blocking();
        }
    }
}

impl fmt::Debug for PrivatePostgres {
    /// Without the addresses: they hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivatePostgres").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
