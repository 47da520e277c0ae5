//! `tollgate ledger verify`.

use super::proof::{self, Verdict};
use std::path::PathBuf;
use std::process::ExitCode;
use tollgate_store::ledger::{VerifyOptions, verify};

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
    proof::run(arguments.anchors.as_deref(), "ledger.anchors", async |store, anchors| {
        let report = verify(&store, VerifyOptions { anchors }).await?;
        Ok(Verdict { is_clean: report.is_clean(), report: report.to_string() })
    })
}
