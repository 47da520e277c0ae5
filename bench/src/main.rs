//! `bench`: what a paid completion costs, beside a bare nginx before the same stand-in provider in the same run.
//!
//! Everything is a real process on loopback: `sim`, `nginx` with one worker, the server with everything on, PostgreSQL with
//! fsync on (`BENCH_DATABASE_URL`, a superuser's), and `wrk` as the load. Programs are looked for beside this one.

mod http;
mod parts;
mod report;
mod wrk;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use parts::{Nginx, Server, Sim};
use report::{Report, Row};
use std::io::Write;
use std::path::PathBuf;

/// The server under load beside a bare nginx.
#[derive(Parser)]
struct Options {
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Connections kept open.
    #[arg(long, default_value_t = 256)]
    connections: u32,
    /// Rounds: each measures the provider, nginx and the server in turn.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Where the results are written, as JSON.
    #[arg(long, default_value = "bench/results/proxy.json")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let database_url = std::env::var("BENCH_DATABASE_URL").context("BENCH_DATABASE_URL is not set: `make bench` sets it")?;
    let sim = Sim::start()?;
    let nginx = Nginx::start(sim.port)?;
    let server = Server::start(&database_url, sim.port)?;
    let key = server.paying_user()?;
    let mut report = Report::new(options.seconds, options.connections);
    // The first seconds fill caches, open connections and plan statements: they are not measured.
    wrk::run(&server.url("/v1/chat/completions"), &key, options.connections, 2)?;
    for _ in 0..options.rounds {
        let load = |url: String| wrk::run(&url, &key, options.connections, options.seconds);
        report.provider.push(Row::of(&load(sim.url())?));
        report.nginx.push(Row::of(&load(nginx.url())?));
        let (before, database_before) = (server.cpu()?, server.database_cpu()?);
        let measured = load(server.url("/v1/chat/completions"))?;
        let mut row = Row::of(&measured);
        row.cpu_us_per_request = Some((server.cpu()? - before).as_secs_f64() * 1e6 / measured.answered());
        row.database_cpu_us_per_request =
            Some((server.database_cpu()? - database_before).as_secs_f64() * 1e6 / measured.answered());
        report.server.push(row);
    }
    report.memory_peak_mib = server.memory_peak_mib()?;
    report.batch = server.mean_batch()?;
    let proof = server.stop_and_verify()?;
    report.write(&options.out)?;
    writeln!(std::io::stdout(), "{report}\n{}", proof.trim())?;
    ensure!(proof.contains("the ledger is clean"), "the books do not balance after the run");
    Ok(())
}
