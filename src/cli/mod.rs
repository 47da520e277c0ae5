//! The command line.

mod admin;
mod audit;
mod demo;
mod environment;
mod ledger;
mod migrate;
mod proof;
mod serve;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// What a wrong setting or a wrong argument ends with (`EX_USAGE`, as clap's own errors are 2).
const EXIT_FAILURE: u8 = 1;

#[derive(Parser)]
#[command(name = "tollgate", version, about = "A metered AI backend. Settings are environment variables: see README.md")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the API
    Serve(serve::ServeArgs),
    /// Migrates the database to this version and ends
    Migrate(migrate::MigrateArgs),
    /// Makes and lists users, keys and grants, straight in the database
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Looks after the audit trail
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Looks after the ledger
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
}

/// Runs the command of these arguments, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(help_or_mistake) => return clap_exit(&help_or_mistake),
    };
    let outcome = match cli.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Admin(command) => admin::run(command),
        Command::Audit(command) => audit::run(command),
        Command::Ledger(command) => ledger::run(command),
    };
    outcome.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::from(EXIT_FAILURE)
    })
}

/// `--help` and `--version` are clap's "errors", too, with exit code 0.
fn clap_exit(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// One line, whatever the causes say.
fn complain(error: &anyhow::Error) {
    let line = format!("{error:#}").replace('\n', " ");
    let _ = writeln!(std::io::stderr(), "tollgate: {line}");
}

/// A line on stdout. A closed pipe is the reader's choice.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
