//! P1: what the server adds to a call, and what a stream costs it.

mod latency;
mod load;
mod wire;

use crate::parts::{Server, Sim, database_url};
use crate::report::{self, Place};
use anyhow::{Result, ensure};
use clap::Args;
use latency::Latency;
use load::Streams;
use serde::Serialize;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Calls at a steady rate beside the bare provider, then many streams at once.
#[derive(Args)]
pub struct Options {
    /// Seconds of calls at that rate, once to the provider and once through the server.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Calls in a second: far below saturation.
    #[arg(long, default_value_t = 200)]
    rate: u64,
    /// Streams at once.
    #[arg(long, default_value_t = 1_000)]
    streams: usize,
    /// For how long there are so many; 600 shows whether memory stays flat.
    #[arg(long, default_value_t = 60)]
    stream_seconds: u64,
    /// Where the results are written, as JSON.
    #[arg(long, default_value = "bench/results/streams.json")]
    out: PathBuf,
}

/// The figures of a run.
#[derive(Serialize)]
struct Figures {
    #[serde(flatten)]
    place: Place,
    /// One commit of an empty cluster on this disk.
    commit_ms: f64,
    rate: u64,
    direct: Latency,
    server: Latency,
    streams: Streams,
}

/// The provider thinks for so long.
const PROVIDER_MS: u64 = 60;
/// A stream of five seconds.
const STREAM: &str = "token-delay:100;tokens:50";

/// Measures, proves the books and writes the figures.
pub fn run(options: &Options) -> Result<()> {
    let sim = Sim::start()?;
    let server = Server::start(&database_url()?, sim.port)?;
    let key = server.paying_user()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = runtime.block_on(async {
        let commit_ms = latency::commit_ms(&database_url()?, options.rate).await?;
        sim.behave(&format!("delay:{PROVIDER_MS}"))?;
        let (to_provider, to_server) = (wire::Target::provider(sim.port), wire::Target::server(server.port, &key));
        let lasting = Duration::from_secs(options.seconds);
        // Opens connections and plans statements.
        latency::measure(&to_server, options.rate, Duration::from_secs(2)).await?;
        let direct = latency::measure(&to_provider, options.rate, lasting).await?;
        let through = latency::measure(&to_server, options.rate, lasting).await?;
        sim.behave(STREAM)?;
        let streams = load::hold(&to_server, options.streams, Duration::from_secs(options.stream_seconds), &server).await?;
        anyhow::Ok(Figures { place: Place::here(), commit_ms, rate: options.rate, direct, server: through, streams })
    })?;
    let proof = server.stop_and_verify()?;
    report::write(&figures, &options.out)?;
    writeln!(std::io::stdout(), "{figures}\n{}", proof.trim())?;
    ensure!(proof.contains("the ledger is clean"), "the books do not balance after the run");
    ensure!(figures.streams.failed == 0, "streams failed");
    Ok(())
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direct, server, streams, .. } = self;
        writeln!(f, "{} calls a second, a provider of {PROVIDER_MS} ms, one commit {:.2} ms", self.rate, self.commit_ms)?;
        writeln!(f, "direct     p50 {:>7.2} ms   p99 {:>7.2} ms", direct.p50_ms, direct.p99_ms)?;
        writeln!(f, "tollgate   p50 {:>7.2} ms   p99 {:>7.2} ms", server.p50_ms, server.p99_ms)?;
        writeln!(f, "added      p50 {:>7.2} ms   p99 {:>7.2} ms", server.p50_ms - direct.p50_ms, server.p99_ms - direct.p99_ms)?;
        write!(
            f,
            "{} streams at once for {} s: {} whole, {} failed; {} KiB each; memory {} MiB, at the end {} MiB",
            streams.at_once,
            streams.seconds,
            streams.whole,
            streams.failed,
            streams.kib_each,
            streams.memory_first_mib,
            streams.memory_last_mib
        )
    }
}
