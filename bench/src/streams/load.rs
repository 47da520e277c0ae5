//! Many streams at once, for a while.

use super::wire::{Connection, Target};
use crate::parts::Server;
use anyhow::Result;
use serde::Serialize;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

/// What they came to, and what they cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Streams {
    pub at_once: usize,
    pub seconds: u64,
    pub whole: u64,
    pub failed: u64,
    /// Resident memory above that of the idle server, for each stream.
    pub kib_each: u64,
    /// When all were open, and at the end.
    pub memory_first_mib: u64,
    pub memory_last_mib: u64,
}

/// By then all streams are open: the first ones are not yet over.
const ALL_OPEN: Duration = Duration::from_secs(4);

/// Keeps so many streams open for so long.
///
/// # Errors
/// Connections that can't be opened; streams that break are counted.
pub async fn hold(target: &Target, at_once: usize, lasting: Duration, server: &Server) -> Result<Streams> {
    let idle_kib = server.memory_now_kib()?;
    let request: Rc<[u8]> = target.request(true).into();
    let end = Instant::now() + lasting;
    let measured = async {
        let mut streaming = JoinSet::new();
        for _ in 0..at_once {
            let mut connection = Connection::open(target).await?;
            let request = Rc::clone(&request);
            streaming.spawn_local(async move {
                let (mut whole, mut failed) = (0_u64, 0_u64);
                while failed == 0 && Instant::now() < end {
                    match connection.ask(&request).await {
                        Ok(()) => whole += 1,
                        Err(_) => failed += 1,
                    }
                }
                (whole, failed)
            });
        }
        sleep(ALL_OPEN).await;
        let first_kib = server.memory_now_kib()?;
        sleep(end.saturating_duration_since(Instant::now())).await;
        let last_kib = server.memory_now_kib()?;
        let counts = streaming.join_all().await;
        anyhow::Ok((first_kib, last_kib, counts))
    };
    let (first_kib, last_kib, counts) = LocalSet::new().run_until(measured).await?;
    let count = u64::try_from(at_once)?.max(1);
    Ok(Streams {
        at_once,
        seconds: lasting.as_secs(),
        whole: counts.iter().map(|(whole, _)| whole).sum(),
        failed: counts.iter().map(|(_, failed)| failed).sum(),
        kib_each: first_kib.max(last_kib).saturating_sub(idle_kib) / count,
        memory_first_mib: first_kib / 1024,
        memory_last_mib: last_kib / 1024,
    })
}
