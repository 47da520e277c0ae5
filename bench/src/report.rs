//! The figures of a run.

use crate::wrk::Measured;
use anyhow::Result;
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::process::Command;

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub requests_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub failed: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_per_request: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_cpu_us_per_request: Option<f64>,
}

impl Row {
    pub const fn of(measured: &Measured) -> Self {
        Self {
            requests_per_second: measured.requests_per_second,
            p50_ms: measured.p50_ms,
            p99_ms: measured.p99_ms,
            failed: measured.failed,
            cpu_us_per_request: None,
            database_cpu_us_per_request: None,
        }
    }
}

/// All measurements of a run, in the order of its rounds.
#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub place: Place,
    pub seconds: u32,
    pub connections: u32,
    pub provider: Vec<Row>,
    pub nginx: Vec<Row>,
    pub server: Vec<Row>,
    pub memory_peak_mib: u64,
    /// Commands in a batch of the ledger, on average.
    pub batch: f64,
}

impl Report {
    pub fn new(seconds: u32, connections: u32) -> Self {
        Self {
            place: Place::here(),
            seconds,
            connections,
            provider: Vec::new(),
            nginx: Vec::new(),
            server: Vec::new(),
            memory_peak_mib: 0,
            batch: 0.0,
        }
    }
}

/// Writes a run's figures as JSON.
pub fn write(report: &impl Serialize, path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, serde_json::to_string_pretty(report)? + "\n")?)
}

/// Where and when a run was made.
#[derive(Debug, Serialize)]
pub struct Place {
    pub commit: String,
    pub date: String,
    pub cores: usize,
}

impl Place {
    pub fn here() -> Self {
        Self {
            commit: commit(),
            date: first_line("date", &["-u", "+%Y-%m-%d"]),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} cores, {} connections, {} s each, median of {}",
            self.place.cores,
            self.connections,
            self.seconds,
            self.server.len()
        )?;
        writeln!(f, "{:<10} {:>12} {:>9} {:>9} {:>8}", "", "requests/s", "p50 ms", "p99 ms", "failed")?;
        for (name, rows) in [("provider", &self.provider), ("nginx", &self.nginx), ("tollgate", &self.server)] {
            let figure = |of: fn(&Row) -> f64| median(rows.iter().map(of));
            let failed: f64 = rows.iter().map(|row| row.failed).sum();
            let (rate, p50, p99) = (figure(|row| row.requests_per_second), figure(|row| row.p50_ms), figure(|row| row.p99_ms));
            writeln!(f, "{name:<10} {rate:>12.0} {p50:>9.2} {p99:>9.2} {failed:>8.0}")?;
        }
        let cpu = median(self.server.iter().filter_map(|row| row.cpu_us_per_request));
        let database = median(self.server.iter().filter_map(|row| row.database_cpu_us_per_request));
        let share = rate(&self.server) / rate(&self.nginx);
        writeln!(f, "{share:.2}x nginx; CPU per request: server {cpu:.0} us, PostgreSQL {database:.0} us")?;
        write!(f, "peak memory {} MiB; {:.1} commands in a batch of the ledger", self.memory_peak_mib, self.batch)
    }
}

/// Requests in a second.
pub fn rate(rows: &[Row]) -> f64 {
    median(rows.iter().map(|row| row.requests_per_second))
}

pub fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// What was run; marked when there was more than that, but for the figures of a run just before.
fn commit() -> String {
    let changed = first_line("git", &["status", "--porcelain", "--", ".", ":!bench/results", ":!README.md"]);
    first_line("git", &["rev-parse", "--short", "HEAD"]) + if changed.is_empty() { "" } else { "+" }
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
}
