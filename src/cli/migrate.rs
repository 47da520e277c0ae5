//! `tollgate migrate`.

use super::environment::{Database, start_log, variable};
use super::say;
use crate::config::{DatabaseSettings, Reader};
use anyhow::Context;
use secrecy::ExposeSecret;
use std::process::ExitCode;
use tollgate_store::migrate::{Direction, migrate};

#[derive(clap::Args)]
pub(super) struct MigrateArgs {
    /// Undo all migrations instead. Drops all data
    #[arg(long)]
    revert_all: bool,
}

pub(super) fn run(arguments: &MigrateArgs) -> anyhow::Result<ExitCode> {
    start_log(true)?;
    // diesel's harness wants a multi-thread runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let env = Reader::new(&variable);
        let mut settings = DatabaseSettings::read(&env)?;
        let data_dir = env.text("DATA_DIR").unwrap_or_else(|| ".data".to_owned());
        let database = Database::visit(&mut settings, data_dir.as_ref()).await?;
        let owner = settings.admin_url.as_ref().or(settings.url.as_ref()).context("DATABASE_URL")?;
        let direction = if arguments.revert_all { Direction::DownToNothing } else { Direction::Up };
        let outcome = migrate(owner.expose_secret(), direction).await;
        database.close().await;
        let ran = outcome?;
        say(format_args!("{} migrations {}", ran.len(), if arguments.revert_all { "undone" } else { "run" }));
        Ok(ExitCode::SUCCESS)
    })
}
