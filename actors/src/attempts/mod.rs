//! Failed attempts: what was tried in vain before a call was answered, or instead of an answer. Written behind the call's back; a
//! call that is answered at once writes nothing.
//!
//! - **Owns** the queue of rows and the writer that lands them in batches.
//! - **Bounds**: [`QUEUE_MAX`] rows wait, a batch is at most [`BATCH_MAX`]; past that rows are dropped and counted, as they are
//!   when the database stays away. They tell what happened, they are nobody's money: no call is refused for them, and there is
//!   no journal.
//! - **A restart** of the process loses the rows of the last [`LINGER`]. `upkeep` forgets them in time.

mod table;
mod writer;

#[cfg(test)]
mod tests;

pub use table::AttemptTable;
pub use tollgate_store::failed_attempts::FailedAttempt;

use crate::runtime::AskError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use writer::Writer;

/// Rows that wait to be written.
pub const QUEUE_MAX: usize = 10_000;
/// Rows in one statement.
pub const BATCH_MAX: usize = 1_000;
/// How long a row waits for company.
pub const LINGER: Duration = Duration::from_millis(200);

/// The way to the table. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Attempts {
    queue: mpsc::Sender<FailedAttempt>,
    stop: CancellationToken,
    writing: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// Starts the writer on `io`.
#[must_use]
pub fn start(table: Arc<dyn AttemptTable>, io: &tokio::runtime::Handle) -> Attempts {
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    let stop = CancellationToken::new();
    let writing = io.spawn(Writer::new(table).run(queue, stop.clone()));
    Attempts { queue: sender, stop, writing: Arc::new(Mutex::new(Some(writing))) }
}

impl Attempts {
    /// Records what has failed. Without room it is dropped.
    pub fn record(&self, row: FailedAttempt) {
        if self.queue.try_send(row).is_err() {
            metrics::counter!("tollgate_failed_attempts_dropped_total").increment(1);
        }
    }

    /// Writes what waits, and ends the writer.
    ///
    /// # Errors
    /// `Timeout` when that takes longer; `Closed` when the writer has ended by a panic.
    pub async fn drain(&self, limit: Duration) -> Result<(), AskError> {
        self.stop.cancel();
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        match writing {
            None => Ok(()),
            Some(writing) => {
                let ended = tokio::time::timeout(limit, writing).await.map_err(|_| AskError::Timeout)?;
                ended.map_err(|_| AskError::Closed)
            }
        }
    }
}
