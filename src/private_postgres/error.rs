use std::io;
use std::path::{Path, PathBuf};

/// Why there is no private PostgreSQL. Each message is one line and says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePostgresError {
    #[error(
        "no PostgreSQL server (initdb, pg_ctl, postgres) in PATH or /usr/lib/postgresql: \
         install Debian's package postgresql, or set DATABASE_URL"
    )]
    BinariesMissing,
    #[error("{} was written by PostgreSQL {major}: install Debian's package postgresql-{major}, or set DATABASE_URL", .cluster.display())]
    OtherVersion { cluster: PathBuf, major: u32 },
    #[error(
        "PostgreSQL does not run as root and there is no user postgres: install Debian's package postgresql, or set DATABASE_URL"
    )]
    NoPostgresUser,
    #[error("another server uses the private PostgreSQL in {}: stop it, or give this one a DATA_DIR of its own", .folder.display())]
    InUse { folder: PathBuf },
    #[error("user postgres can't reach {}: move DATA_DIR to a folder that all users may enter, or set DATABASE_URL", .cluster.display())]
    Unreachable { cluster: PathBuf },
    #[error("cannot {action} {}: {source}", .path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{program} failed: {last_line}")]
    Program { program: &'static str, last_line: String },
    #[error("the private PostgreSQL did not answer within {limit_s} s; see {}", .log.display())]
    Silent { limit_s: u64, log: PathBuf },
    #[error("the private PostgreSQL refused: {0}")]
    Sql(#[from] tokio_postgres::Error),
}

/// Names the file in an I/O error: `read_to_string(path).map_err(file_error("read", path))`.
pub(super) fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrivatePostgresError {
    let path = path.to_path_buf();
    move |source| PrivatePostgresError::File { action, path, source }
}
