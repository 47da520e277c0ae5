//! `tollgate audit verify`.

use super::proof::{self, Verdict};
use std::path::PathBuf;
use std::process::ExitCode;
use tollgate_store::audit::verify;

#[derive(clap::Subcommand)]
pub(super) enum AuditCommand {
    /// Proves that no audit row was changed, removed, inserted or moved. Ends with 1 when one was
    Verify(VerifyArgs),
}

#[derive(clap::Args)]
pub(super) struct VerifyArgs {
    /// Heads to hold the chain against, as the log has them, one a line: only they betray a tail that was cut off, or a chain made
    /// anew. Without it, those in DATA_DIR
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
}

pub(super) fn run(command: AuditCommand) -> anyhow::Result<ExitCode> {
    let AuditCommand::Verify(arguments) = command;
    proof::run(arguments.heads.as_deref(), "audit.heads", async |store, heads| {
        let report = verify(&store, &heads).await?;
        Ok(Verdict { is_clean: report.is_clean(), report: report.to_string() })
    })
}
