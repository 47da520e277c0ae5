//! Activity: what users did besides calls, written behind their backs and never lost to a database that is away. What they called
//! stands in the books.
//!
//! - **Owns** the queue of rows, the writer that lands them in batches, and a local journal for the time when PostgreSQL is
//!   away. A batch carries an id, so that one whose outcome is unknown lands once.
//! - **Bounds**: [`QUEUE_MAX`] rows wait; a batch is at most [`BATCH_MAX`] rows; the journal has [`JOURNAL_BYTES_MAX`]. When
//!   all are full, [`Activity::record`] answers `Overloaded`.
//! - **A restart** of the actor loses nothing. A crash of the process loses the rows of the last [`LINGER`].

mod actor;
mod table;
mod writer;

#[cfg(test)]
mod tests;

pub use actor::{ActivityActor, ActivityDeps, ActivityService, start};
pub use table::ActivityTable;
pub use tollgate_store::activity::{ActivityRow, USER_LOGIN};

use std::time::Duration;
use tokio::sync::mpsc;

/// Rows that wait to be written.
pub const QUEUE_MAX: usize = 10_000;
/// Rows in one statement.
pub const BATCH_MAX: usize = 1_000;
/// How long a row waits for company: large batches cost the database little.
pub const LINGER: Duration = Duration::from_millis(100);
/// Some 200,000 rows.
pub const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// While the database is away it is tried this often.
pub const RETRY_EVERY: Duration = Duration::from_secs(1);

/// More rows wait than are written in good time: do nothing that makes more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("activity is overloaded")]
pub struct Overloaded;

/// The way to the activity log.
#[derive(Clone, Debug)]
pub struct Activity {
    queue: mpsc::Sender<ActivityRow>,
}

impl Activity {
    /// Records what has happened.
    ///
    /// # Errors
    /// `Overloaded`: the row was not taken.
    pub fn record(&self, row: ActivityRow) -> Result<(), Overloaded> {
        self.queue.try_send(row).map_err(|_| Overloaded)
    }

    /// Rows that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.max_capacity().saturating_sub(self.queue.capacity())
    }
}
