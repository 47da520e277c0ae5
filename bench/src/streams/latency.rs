//! Calls at a steady rate, whatever the answers do: each is measured from when it was due.

use super::wire::{Connection, Target};
use anyhow::{Context, Result};
use serde::Serialize;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, interval};

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
    let mut due = interval(Duration::from_nanos(1_000_000_000 / rate.max(1)));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let end = Instant::now() + lasting;
    let calls = async {
        let mut under_way = JoinSet::new();
        loop {
            let at = due.tick().await.into_std();
            if at >= end {
                break;
            }
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

/// The median of a hundred commits of one row.
///
/// # Errors
/// The database's.
pub async fn commit_ms(url: &str) -> Result<f64> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let driving = tokio::spawn(connection);
    client.batch_execute("CREATE TABLE IF NOT EXISTS bench_commits (at timestamptz)").await?;
    let insert = client.prepare("INSERT INTO bench_commits VALUES (now())").await?;
    let mut times_ms = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        client.execute(&insert, &[]).await?;
        times_ms.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    client.batch_execute("DROP TABLE bench_commits").await?;
    driving.abort();
    Ok(crate::report::median(times_ms.into_iter()))
}
