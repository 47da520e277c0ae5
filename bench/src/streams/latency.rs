//! Calls at a steady rate, whatever the answers do: each is measured from when it was due.

use super::wire::{Connection, Target};
use anyhow::{Context, Result};
use serde::Serialize;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

const COMMITS_LASTING: Duration = Duration::from_secs(2);

/// Of one run's calls.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    pub calls: usize,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Asks `rate` times a second for so long.
///
/// # Errors
/// A call that failed.
pub async fn measure(target: &Target, rate: u64, lasting: Duration) -> Result<Latency> {
    let request: Rc<[u8]> = target.request(false).into();
    let idle: Rc<RefCell<Vec<Connection>>> = Rc::default();
    let mut due = pace(rate, lasting);
    let calls = async {
        let mut under_way = JoinSet::new();
        while let Some(at) = due.recv().await {
            let kept = idle.borrow_mut().pop();
            let mut connection = match kept {
                Some(connection) => connection,
                None => Connection::open(target).await?,
            };
            let (request, idle) = (Rc::clone(&request), Rc::clone(&idle));
            under_way.spawn_local(async move {
                connection.ask(&request).await?;
                idle.borrow_mut().push(connection);
                anyhow::Ok(at.elapsed().as_secs_f64() * 1e3)
            });
        }
        under_way.join_all().await.into_iter().collect::<Result<Vec<f64>>>()
    };
    let mut times_ms = LocalSet::new().run_until(calls).await?;
    times_ms.sort_by(f64::total_cmp);
    let at = |hundredths: usize| times_ms.get(times_ms.len() * hundredths / 100).copied().context("no calls");
    Ok(Latency { calls: times_ms.len(), p50_ms: at(50)?, p99_ms: at(99)? })
}

/// When calls are due. Told by a thread of its own, since a runtime's timers know whole milliseconds only; and each at another part
/// of its millisecond, as evenly as multiples of the golden ratio lie: the provider's pause ends at a whole one of its own, so calls
/// that all began at the same part of it would hide what is added to them, or show it as a millisecond.
fn pace(rate: u64, lasting: Duration) -> mpsc::UnboundedReceiver<Instant> {
    let (tell, due) = mpsc::unbounded_channel();
    let (begin, period_ns) = (Instant::now(), 1_000_000_000 / rate.max(1));
    std::thread::spawn(move || {
        for call in 0..rate * lasting.as_secs() {
            let at = begin + Duration::from_nanos(call * period_ns + call * 618_034 % 1_000_000);
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if tell.send(at).is_err() {
                return;
            }
        }
    });
    due
}

/// The median of commits of one row each, asked for at the same pace as the calls: a machine that was idle between takes longer.
///
/// # Errors
/// The database's.
pub async fn commit_ms(url: &str, rate: u64) -> Result<f64> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let driving = tokio::spawn(connection);
    client.batch_execute("CREATE TABLE IF NOT EXISTS bench_commits (at timestamptz)").await?;
    let insert = client.prepare("INSERT INTO bench_commits VALUES (now())").await?;
    let mut times_ms = Vec::new();
    let mut due = pace(rate, COMMITS_LASTING);
    while due.recv().await.is_some() {
        let begun = Instant::now();
        client.execute(&insert, &[]).await?;
        times_ms.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    client.batch_execute("DROP TABLE bench_commits").await?;
    driving.abort();
    Ok(crate::report::median(times_ms.into_iter()))
}
