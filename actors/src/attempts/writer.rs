//! The writer: rows into batches, batches into the table.

use super::{AttemptTable, BATCH_MAX, FailedAttempt, LINGER};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tollgate_store::StoreError;

/// A batch is tried so often, a second apart: then newer rows take its place.
const TRIES: u32 = 5;
const RETRY_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    table: Arc<dyn AttemptTable>,
}

impl Writer {
    pub fn new(table: Arc<dyn AttemptTable>) -> Self {
        Self { table }
    }

    /// Writes until `stop`, then what is queued.
    pub async fn run(self, mut queue: mpsc::Receiver<FailedAttempt>, stop: CancellationToken) {
        let mut rows = Vec::new();
        while collect(&mut queue, &stop, &mut rows).await {
            // A panic costs its batch, not the writer.
            // Mutant: without the catch `a_panic_costs_its_batch_and_nothing_else` is red.
            let landing = AssertUnwindSafe(self.land(&rows, &stop)).catch_unwind().await;
            if !matches!(landing, Ok(true)) {
                tracing::warn!(rows = rows.len(), "failed attempts are not recorded");
                let lost = u64::try_from(rows.len()).unwrap_or(u64::MAX);
                metrics::counter!("tollgate_failed_attempts_dropped_total").increment(lost);
            }
            rows.clear();
        }
    }

    /// False when the table does not take the batch.
    async fn land(&self, rows: &[FailedAttempt], stop: &CancellationToken) -> bool {
        for _ in 0..TRIES {
            match self.table.insert(rows).await {
                Ok(()) => return true,
                Err(StoreError::Unavailable(_)) if !stop.is_cancelled() => sleep(RETRY_EVERY).await,
                Err(error) => {
                    tracing::warn!(%error, "the failed attempts' table refuses");
                    return false;
                }
            }
        }
        false
    }
}

/// Collects rows for one batch. False when there will be no more.
async fn collect(queue: &mut mpsc::Receiver<FailedAttempt>, stop: &CancellationToken, rows: &mut Vec<FailedAttempt>) -> bool {
    tokio::select! {
        count = queue.recv_many(rows, BATCH_MAX) => if count == 0 { return false },
        () = stop.cancelled(), if !queue.is_closed() => {
            queue.close();
            return queue.recv_many(rows, BATCH_MAX).await > 0;
        }
    }
    if !stop.is_cancelled() && rows.len() < BATCH_MAX {
        tokio::select! {
            () = sleep(LINGER) => {}
            () = stop.cancelled() => {}
        }
        while rows.len() < BATCH_MAX
            && let Ok(row) = queue.try_recv()
        {
            rows.push(row);
        }
    }
    true
}
