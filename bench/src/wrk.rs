//! The load: `wrk` with one thread, so that the figures of a run leave the other core to what is measured.

use anyhow::{Context, Result, ensure};
use std::process::Command;

/// What one run of the load saw.
#[derive(Debug, Default)]
pub struct Measured {
    pub requests: f64,
    pub requests_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Answers that were no 2xx, and broken connections.
    pub failed: f64,
}

impl Measured {
    pub const fn answered(&self) -> f64 {
        self.requests.max(1.0)
    }
}

const BODY: &str = r#"{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"Say hello."}],"max_tokens":16}"#;

/// Prints one line that is easily read, in units of our own.
const DONE: &str = r#"
done = function(summary, latency, requests)
    local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    io.write(string.format("RESULT %d %f %f %f %d\n", summary.requests, summary.requests / (summary.duration / 1e6),
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
"#;

pub fn run(url: &str, key: &str, connections: u32, seconds: u32) -> Result<Measured> {
    let script = std::env::temp_dir().join(format!("tollgate-wrk-{}.lua", std::process::id()));
    let head = format!(
        "wrk.method = \"POST\"\nwrk.body = [[{BODY}]]\nwrk.headers[\"Content-Type\"] = \"application/json\"\n\
         wrk.headers[\"Authorization\"] = \"Bearer {key}\"\n"
    );
    std::fs::write(&script, head + DONE)?;
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "10s", "-s"])
        .arg(&script)
        .arg(url)
        .output()
        .context("wrk can't be started: install Debian's package wrk")?;
    std::fs::remove_file(&script)?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT ")).context("wrk printed no result")?;
    let mut numbers = line.split(' ').map(str::parse::<f64>);
    let mut next = || numbers.next().context("a number is missing")?.context("no number");
    Ok(Measured { requests: next()?, requests_per_second: next()?, p50_ms: next()?, p99_ms: next()?, failed: next()? })
}
