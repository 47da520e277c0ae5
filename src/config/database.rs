//! Where the data is.

use super::{ConfigError, Reader};
use secrecy::SecretString;

/// `DATABASE_URL`, `DATABASE_ADMIN_URL`, `DATABASE_CONNECTIONS`.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// `DATABASE_URL`: unset, the server keeps a private PostgreSQL under `DATA_DIR`.
    pub url: Option<SecretString>,
    /// `DATABASE_ADMIN_URL`: who owns the tables and migrates them. Default: `DATABASE_URL`.
    pub admin_url: Option<SecretString>,
    /// `DATABASE_CONNECTIONS`, 16: of the pool; the ledger and the listeners have their own.
    pub connections_max: usize,
}

impl DatabaseSettings {
    /// Public, because some commands need nothing else.
    ///
    /// # Errors
    /// The first wrong one.
    pub fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            url: postgres_url(env, "DATABASE_URL")?,
            admin_url: postgres_url(env, "DATABASE_ADMIN_URL")?,
            connections_max: env.number("DATABASE_CONNECTIONS", 16, 2..=1_000)?,
        })
    }
}

fn postgres_url(env: &Reader<'_>, name: &str) -> Result<Option<SecretString>, ConfigError> {
    let Some(text) = env.text(name) else { return Ok(None) };
    let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if is_postgres && text.parse::<tokio_postgres::Config>().is_ok() {
        return Ok(Some(text.into()));
    }
    Err(ConfigError::wrong_secret(name, &text, "an address such as postgres://user:password@host:5432/database"))
}
