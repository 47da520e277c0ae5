//! P0: the server under load beside a bare nginx, in turn.

use crate::parts::{Nginx, Server, Sim, database_url};
use crate::report::{self, Report, Row, rate};
use crate::wrk;
use anyhow::{Result, ensure};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// The server under load beside a bare nginx.
#[derive(Args)]
pub struct Options {
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
    /// Fails when promise P0 is not kept; an optimised build alone can keep it.
    #[arg(long)]
    hold_bars: bool,
}

/// Promise P0.
const RATE_MIN: f64 = 10_000.0;
const NGINX_MIN: f64 = 0.3;
const MEMORY_MAX_MIB: u64 = 100;

/// Measures, proves the books and writes the figures.
pub fn run(options: &Options) -> Result<()> {
    let sim = Sim::start()?;
    let nginx = Nginx::start(sim.port)?;
    let server = Server::start(&database_url()?, sim.port)?;
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
    report::write(&report, &options.out)?;
    writeln!(std::io::stdout(), "{report}\n{}", proof.trim())?;
    ensure!(proof.contains("the ledger is clean"), "the books do not balance after the run");
    ensure!(report.server.iter().all(|row| row.failed < 1.0), "calls failed");
    if options.hold_bars { hold_bars(&report) } else { Ok(()) }
}

fn hold_bars(report: &Report) -> Result<()> {
    let ours = rate(&report.server);
    ensure!(ours >= RATE_MIN, "P0: {ours:.0} requests/s, where {RATE_MIN} are promised");
    let share = ours / rate(&report.nginx);
    ensure!(share >= NGINX_MIN, "P0: {share:.2} of nginx, where {NGINX_MIN} are promised");
    let peak = report.memory_peak_mib;
    ensure!(peak <= MEMORY_MAX_MIB, "P0: a peak of {peak} MiB, where {MEMORY_MAX_MIB} are promised");
    Ok(())
}
