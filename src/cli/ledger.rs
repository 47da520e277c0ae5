//! `tollgate ledger verify`.

use super::environment::{Database, start_log, variable};
use super::say;
use crate::config::{DatabaseSettings, Reader};
use anyhow::Context;
use secrecy::ExposeSecret;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tollgate_store::ledger::{Anchor, VerifyOptions, verify};
use tollgate_store::{Store, StoreOptions};

/// The laws are joins over all history.
const STATEMENT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3_600);

#[derive(clap::Subcommand)]
pub(super) enum LedgerCommand {
    /// Proves the books: balances, holds, usage records and the chain. Ends with 1 when something is wrong
    Verify(VerifyArgs),
}

#[derive(clap::Args)]
pub(super) struct VerifyArgs {
    /// Anchors to hold the chain against, one a line. Without it, those in DATA_DIR
    #[arg(long, value_name = "FILE")]
    anchors: Option<PathBuf>,
}

pub(super) fn run(command: LedgerCommand) -> anyhow::Result<ExitCode> {
    let LedgerCommand::Verify(arguments) = command;
    start_log(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let env = Reader::new(&variable);
        let mut settings = DatabaseSettings::read(&env)?;
        let data_dir = PathBuf::from(env.text("DATA_DIR").unwrap_or_else(|| ".data".to_owned()));
        let anchors = read_anchors(arguments.anchors.as_deref(), &data_dir)?;
        let database = Database::visit(&mut settings, &data_dir).await?;
        let outcome = prove(&settings, anchors).await;
        database.close().await;
        outcome
    })
}

async fn prove(settings: &DatabaseSettings, anchors: Vec<Anchor>) -> anyhow::Result<ExitCode> {
    let url = settings.url.as_ref().context("DATABASE_URL")?.expose_secret().to_owned();
    let options = StoreOptions { statement_timeout: STATEMENT_TIMEOUT, connections_max: 1, ..StoreOptions::new(url) };
    let store = Store::new(options, tokio::runtime::Handle::current())?;
    let report = verify(&store, VerifyOptions { anchors }).await?;
    say(&report);
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A file that was named must be there; the server's own may not have been written yet.
fn read_anchors(named: Option<&Path>, data_dir: &Path) -> anyhow::Result<Vec<Anchor>> {
    let own = data_dir.join("ledger.anchors");
    let path = named.unwrap_or(&own);
    if named.is_none() && !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| line.parse().map_err(|error| anyhow::anyhow!("{}: {line:?} is no anchor: {error}", path.display())))
        .collect()
}
