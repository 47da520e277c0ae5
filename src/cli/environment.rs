//! What the commands share: settings, log, database.

use crate::config::{DatabaseSettings, Reader, TelemetrySettings};
use crate::private_postgres::PrivatePostgres;
use anyhow::Context;
use secrecy::SecretString;
use std::path::Path;

/// One setting of the process's environment.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Starts the log as `LOG_FORMAT` and `RUST_LOG` say.
pub(super) fn start_log(quiet: bool) -> anyhow::Result<()> {
    let telemetry = TelemetrySettings::read(&Reader::new(&variable))?;
    let default = quiet.then(|| "warn".to_owned());
    crate::telemetry::start(telemetry, variable("RUST_LOG").or(default)).map_err(anyhow::Error::msg)
}

/// Runs a command on an actix system of its own.
pub(super) fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    actix_rt::System::new().block_on(command)
}

/// The database of a command. Holds the private PostgreSQL, if that is what it is.
pub(super) struct Database {
    private: Option<PrivatePostgres>,
}

impl Database {
    /// The settings' database; without one, the private PostgreSQL of `data_dir`, whose addresses are put into the settings.
    pub async fn open(settings: &mut DatabaseSettings, data_dir: &Path) -> anyhow::Result<Self> {
        if settings.url.is_some() {
            return Ok(Self { private: None });
        }
        std::fs::create_dir_all(data_dir).with_context(|| format!("DATA_DIR: can't make {}", data_dir.display()))?;
        let private =
            PrivatePostgres::start(data_dir).await.context("DATABASE_URL is not set, and the private PostgreSQL fails")?;
        put(settings, private.database_url(), private.admin_url());
        Ok(Self { private: Some(private) })
    }

    /// Like [`open`](Self::open), but a private PostgreSQL that a running server keeps is used as it is.
    pub async fn visit(settings: &mut DatabaseSettings, data_dir: &Path) -> anyhow::Result<Self> {
        if settings.url.is_none()
            && let Some(running) = PrivatePostgres::running(data_dir)?
        {
            put(settings, &running.database_url, &running.admin_url);
            return Ok(Self { private: None });
        }
        Self::open(settings, data_dir).await
    }

    pub async fn close(self) {
        if let Some(private) = self.private {
            private.stop().await;
        }
    }
}

fn put(settings: &mut DatabaseSettings, url: &str, admin_url: &str) {
    settings.url = Some(SecretString::from(url));
    settings.admin_url.get_or_insert_with(|| SecretString::from(admin_url));
}
