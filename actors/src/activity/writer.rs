//! The writer: rows into batches, batches into the database, or into the journal until it is back.

use super::{ActivityRow, ActivityTable, BATCH_MAX, LINGER, RETRY_EVERY};
use crate::journal::Journal;
use crate::ports::Clock;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tollgate_store::StoreError;
use uuid::Uuid;

/// Rows that land together.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Batch {
    id: Uuid,
    at: DateTime<Utc>,
    rows: Vec<ActivityRow>,
}

pub(super) struct Writer {
    table: Arc<dyn ActivityTable>,
    clock: Arc<dyn Clock>,
    journal: Arc<Mutex<Journal>>,
    /// The journal holds what has not landed.
    is_behind: bool,
    retry_at: Instant,
}

impl Writer {
    pub fn new(table: Arc<dyn ActivityTable>, clock: Arc<dyn Clock>, journal: Journal) -> Self {
        let is_behind = !journal.is_empty();
        Self { table, clock, journal: Arc::new(Mutex::new(journal)), is_behind, retry_at: Instant::now() }
    }

    /// Writes until the queue is closed (`stop` closes it) and empty.
    pub async fn run(&mut self, queue: &mut mpsc::Receiver<ActivityRow>, stop: &CancellationToken) {
        let mut rows = Vec::with_capacity(BATCH_MAX);
        while self.collect(queue, stop, &mut rows).await {
            if self.is_behind && Instant::now() >= self.retry_at {
                self.replay().await;
            }
            if !rows.is_empty() {
                let rows = std::mem::replace(&mut rows, Vec::with_capacity(BATCH_MAX));
                self.land(Batch { id: Uuid::now_v7(), at: self.clock.now(), rows }).await;
            }
        }
        if self.is_behind {
            self.replay().await;
        }
    }

    /// Collects rows for one batch, or until the journal is due. False when there will be no more.
    async fn collect(
        &self,
        queue: &mut mpsc::Receiver<ActivityRow>,
        stop: &CancellationToken,
        rows: &mut Vec<ActivityRow>,
    ) -> bool {
        let retry_at = self.retry_at;
        tokio::select! {
            count = queue.recv_many(rows, BATCH_MAX) => if count == 0 { return false },
            () = tokio::time::sleep_until(retry_at), if self.is_behind => return true,
            () = stop.cancelled(), if !queue.is_closed() => {
                queue.close();
                return true;
            }
        }
        if rows.len() < BATCH_MAX {
            // Not by waiting at the queue: there, every row would wake this task up.
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

    /// Returns when the batch is in the database or in the journal. Until then nothing more is taken from the queue.
    async fn land(&mut self, batch: Batch) {
        loop {
            if !self.is_behind {
                match self.insert(&batch).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%error, rows = batch.rows.len(), "activity goes to the journal"),
                }
            }
            match self.append(&batch).await {
                Ok(()) => {
                    self.fall_behind();
                    return;
                }
                Err(error) => tracing::error!(%error, "the activity journal takes no more"),
            }
            // Mutant: returning here loses the batch: `a_full_journal_holds_rows_back_and_loses_none` is red.
            sleep(RETRY_EVERY).await;
            self.replay().await;
        }
    }

    fn fall_behind(&mut self) {
        if !self.is_behind {
            self.is_behind = true;
            self.retry_at = Instant::now() + RETRY_EVERY;
        }
    }

    /// Writes what the journal holds, oldest first, then empties it. What has landed already is left out by its id.
    async fn replay(&mut self) {
        self.retry_at = Instant::now() + RETRY_EVERY;
        let records = match self.on_journal(Journal::read_all).await {
            Ok(records) => records,
            Err(error) => return tracing::error!(%error, "the activity journal can't be read"),
        };
        for record in &records {
            match serde_json::from_slice::<Batch>(record) {
                Ok(batch) => {
                    if let Err(error) = self.insert(&batch).await {
                        return tracing::debug!(%error, "the activity journal waits");
                    }
                }
                Err(error) => tracing::error!(%error, "a record of the activity journal is in another form"),
            }
        }
        match self.on_journal(Journal::clear).await {
            Ok(()) => {
                self.is_behind = false;
                tracing::info!(batches = records.len(), "the activity journal has landed");
            }
            Err(error) => tracing::error!(%error, "the activity journal can't be emptied"),
        }
    }

    /// Writes a batch. Only an error that passes is one: rows that the table refuses for ever are counted and left out.
    async fn insert(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut parts = vec![(batch.id, batch.rows.as_slice())];
        while let Some((id, rows)) = parts.pop() {
            match self.ask_table(id, batch.at, rows).await {
                Some(Ok(())) => {
                    metrics::counter!("tollgate_activity_rows_total").increment(u64::try_from(rows.len()).unwrap_or(0))
                }
                Some(Err(error @ StoreError::Unavailable(_))) => return Err(error),
                refusal if rows.len() <= 1 => {
                    tracing::error!(?refusal, "an activity row is refused");
                    metrics::counter!("tollgate_activity_refused_total").increment(1);
                }
                // One bad row must not take the others with it.
                _ => {
                    let (first, second) = rows.split_at(rows.len() / 2);
                    parts.extend([(half(id, 0), first), (half(id, 1), second)]);
                }
            }
        }
        Ok(())
    }

    /// What the table says. If it panics it is asked again, as an id lands once; `None` if it panics again.
    async fn ask_table(&self, id: Uuid, at: DateTime<Utc>, rows: &[ActivityRow]) -> Option<Result<(), StoreError>> {
        for _ in 0..2 {
            let asking = async { self.table.insert(id, at, rows).await };
            if let Ok(said) = AssertUnwindSafe(asking).catch_unwind().await {
                return Some(said);
            }
        }
        None
    }

    async fn append(&self, batch: &Batch) -> io::Result<()> {
        let record = serde_json::to_vec(batch)?;
        self.on_journal(move |journal| journal.append(&record)).await
    }

    /// The journal waits for the disk: not on a thread that drives connections.
    async fn on_journal<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Journal) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let journal = Arc::clone(&self.journal);
        let working = tokio::task::spawn_blocking(move || work(&mut journal.lock().unwrap_or_else(PoisonError::into_inner)));
        working.await.map_err(io::Error::other)?
    }
}

/// The id of a batch's half: the same at every replay.
fn half(id: Uuid, which: u128) -> Uuid {
    Uuid::from_u128(id.as_u128().rotate_left(1) ^ which)
}
