//! What the proofs have in common: marks that were written down outside the database, a store with patience, a verdict.

use super::environment::{Database, start_log, variable};
use super::say;
use crate::config::{DatabaseSettings, Reader};
use anyhow::Context;
use secrecy::ExposeSecret;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;
use tollgate_store::{Store, StoreError, StoreOptions};

/// A proof joins over all history.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3_600);

/// What a proof found, and whether all is well.
pub(super) struct Verdict {
    pub report: String,
    pub is_clean: bool,
}

/// Holds the database against the marks of the file that was named, or of the server's `own` in `DATA_DIR`.
pub(super) fn run<M: FromStr<Err: Display>>(
    named: Option<&Path>,
    own: &str,
    prove: impl AsyncFnOnce(Store, Vec<M>) -> Result<Verdict, StoreError>,
) -> anyhow::Result<ExitCode> {
    start_log(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let env = Reader::new(&variable);
        let mut settings = DatabaseSettings::read(&env)?;
        let data_dir = PathBuf::from(env.text("DATA_DIR").unwrap_or_else(|| ".data".to_owned()));
        let marks = read_marks(named, &data_dir.join(own))?;
        let database = Database::visit(&mut settings, &data_dir).await?;
        let outcome = match open(&settings) {
            Ok(store) => prove(store, marks).await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        database.close().await;
        let verdict = outcome?;
        say(verdict.report);
        Ok(if verdict.is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

fn open(settings: &DatabaseSettings) -> anyhow::Result<Store> {
    let url = settings.url.as_ref().context("DATABASE_URL")?.expose_secret().to_owned();
    let options = StoreOptions { statement_timeout: STATEMENT_TIMEOUT, connections_max: 1, ..StoreOptions::new(url) };
    Ok(Store::new(options, tokio::runtime::Handle::current())?)
}

/// One a line. A file that was named must be there; the server's own may not have been written yet.
fn read_marks<M: FromStr<Err: Display>>(named: Option<&Path>, own: &Path) -> anyhow::Result<Vec<M>> {
    let path = named.unwrap_or(own);
    if named.is_none() && !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| line.parse::<M>().map_err(|error| anyhow::anyhow!("{}: {line:?}: {error}", path.display()))).collect()
}
