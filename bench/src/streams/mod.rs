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
    /// Fails when promise P1 is not kept; an optimised build alone can keep it.
    #[arg(long)]
    hold_bars: bool,
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

/// Promise P1, of calls that go out before their hold is written: above one commit, and above that.
const P50_MAX_MS: f64 = 0.5;
const P99_MAX_MS: f64 = 10.0;
const KIB_EACH_MAX: u64 = 64;

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
    if options.hold_bars { figures.hold_bars() } else { Ok(()) }
}

impl Figures {
    fn added(&self) -> (f64, f64) {
        (self.server.p50_ms - self.direct.p50_ms, self.server.p99_ms - self.direct.p99_ms)
    }

    fn hold_bars(&self) -> Result<()> {
        let (p50, p99) = self.added();
        let p50_max = self.commit_ms + P50_MAX_MS;
        let p99_max = p50_max + P99_MAX_MS;
        ensure!(p50 <= p50_max, "P1: {p50:.2} ms added (p50), where {p50_max:.2} are promised");
        ensure!(p99 <= p99_max, "P1: {p99:.2} ms added (p99), where {p99_max:.2} are promised");
        let each = self.streams.kib_each;
        ensure!(each <= KIB_EACH_MAX, "P1: {each} KiB for each stream, where {KIB_EACH_MAX} are promised");
        Ok(())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direct, server, streams, .. } = self;
        writeln!(f, "{} calls a second, a provider of {PROVIDER_MS} ms, one commit {:.2} ms", self.rate, self.commit_ms)?;
        writeln!(f, "direct     p50 {:>7.2} ms   p99 {:>7.2} ms", direct.p50_ms, direct.p99_ms)?;
        writeln!(f, "tollgate   p50 {:>7.2} ms   p99 {:>7.2} ms", server.p50_ms, server.p99_ms)?;
        let (p50, p99) = self.added();
        writeln!(f, "added      p50 {p50:>7.2} ms   p99 {p99:>7.2} ms")?;
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
