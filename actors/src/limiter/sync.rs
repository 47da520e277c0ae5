//! Counts on their way to the table: each second what is fresh, as deltas; back come the totals of all replicas.

use super::Shared;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use tollgate_domain::UserId;
use tollgate_store::StoreError;
use tollgate_store::limit_counters::{CounterRow, Subject};
use uuid::Uuid;

/// Subjects in one statement.
const BATCH_MAX: usize = 2_000;
/// Flushes with nothing to write before one is written all the same, so that other replicas see that this one lives.
const SILENT_MAX: u32 = 3;

/// What is to be written.
pub(super) struct Outbox {
    /// A random id of this run.
    writer: Uuid,
    sequence: i64,
    /// Stays until it has landed: sent again under the same number, it counts once.
    batch: Option<Batch>,
    silent: u32,
}

struct Batch {
    rows: Vec<CounterRow>,
    users: HashMap<Subject, UserId>,
}

impl Outbox {
    pub const fn new(writer: Uuid) -> Self {
        Self { writer, sequence: 0, batch: None, silent: SILENT_MAX }
    }

    /// Makes a batch of what is fresh, unless one has not landed yet. False when there is nothing to say.
    fn fill(&mut self, shared: &Shared) -> bool {
        if self.batch.is_some() {
            return true;
        }
        let fresh = shared.accounts.take_fresh(BATCH_MAX);
        if fresh.is_empty() && self.silent < SILENT_MAX {
            self.silent += 1;
            return false;
        }
        self.silent = 0;
        self.sequence += 1;
        let users = fresh.iter().map(|(user, row)| (row.subject, *user)).collect();
        self.batch = Some(Batch { rows: fresh.into_iter().map(|(_, row)| row).collect(), users });
        true
    }
}

impl Shared {
    /// Writes everything that is fresh, and the alerts. One flush at a time; a drain waits for the one under way.
    ///
    /// # Errors
    /// The table is away: nothing is lost, the next flush goes on.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let mut outbox = self.outbox.lock().await;
        loop {
            let was_waiting = outbox.batch.is_some();
            if !outbox.fill(self) {
                break;
            }
            let Outbox { writer, sequence, batch, .. } = &*outbox;
            let Some(batch) = batch else { break };
            let is_last = batch.rows.len() < BATCH_MAX;
            let written = self.table.add(*writer, *sequence, &batch.rows).await?;
            self.has_others.store(written.others > 0, Ordering::Relaxed);
            let now_ms = self.clock.now().timestamp_millis();
            for total in &written.totals {
                if let Some(user) = batch.users.get(&total.subject) {
                    self.accounts.arrived(*user, total, now_ms);
                }
            }
            outbox.batch = None;
            // Behind a batch that had to wait there is more; behind a small one only what came meanwhile.
            if is_last && !was_waiting {
                break;
            }
        }
        drop(outbox);
        self.flush_alerts().await
    }

    async fn flush_alerts(&self) -> Result<(), StoreError> {
        let alerts = self.alerts.take();
        if alerts.is_empty() {
            return Ok(());
        }
        let written = self.table.alert(&alerts).await;
        if written.is_err() {
            self.alerts.put_back(alerts);
        }
        written
    }
}
