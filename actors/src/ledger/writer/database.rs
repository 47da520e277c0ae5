//! What the writer needs of the database. A trait, so that a simulated one can lose replies, repeat statements and crash.

use chrono::{DateTime, Utc};
use tollgate_store::ledger::{AccountRow, Batch, ChainHead, DueHold, House, Truth, WriteError, Writer as StoreWriter, due_holds};
use tollgate_store::{Store, StoreError};
use uuid::Uuid;

/// The database, from which a connection can be had.
pub trait Database: Clone + Send + Sync + 'static {
    type Line: Line;

    /// Takes a slot on a new connection; see [`StoreWriter::claim`].
    fn claim(
        &self,
        name: &str,
        preferred: Option<(i32, i64)>,
    ) -> impl Future<Output = Result<(Self::Line, House, bool), StoreError>> + Send;

    /// Open holds that no one will close; see [`due_holds`].
    fn due(
        &self,
        at: DateTime<Utc>,
        orphaned_slot: i32,
        limit: i64,
    ) -> impl Future<Output = Result<Vec<DueHold>, StoreError>> + Send;
}

/// The one connection that writes; see [`StoreWriter`].
pub trait Line: Send + 'static {
    fn place(&self) -> (i32, i64);

    fn head(&self) -> ChainHead;

    fn balances(&mut self, ids: &[i64]) -> impl Future<Output = Result<Vec<AccountRow>, StoreError>> + Send;

    fn write(&mut self, batch: &Batch, at: DateTime<Utc>) -> impl Future<Output = Result<(), WriteError>> + Send;

    fn write_exactly<T: Send>(
        &mut self,
        account_ids: &[i64],
        hold_ids: &[Uuid],
        operation_ids: &[Uuid],
        at: DateTime<Utc>,
        decide: impl FnOnce(Truth) -> (Batch, T) + Send,
    ) -> impl Future<Output = Result<T, WriteError>> + Send;

    fn heartbeat(&mut self) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

impl Database for Store {
    type Line = StoreWriter;

    async fn claim(&self, name: &str, preferred: Option<(i32, i64)>) -> Result<(StoreWriter, House, bool), StoreError> {
        StoreWriter::claim(self, name, preferred).await
    }

    async fn due(&self, at: DateTime<Utc>, orphaned_slot: i32, limit: i64) -> Result<Vec<DueHold>, StoreError> {
        due_holds(self, at, Some(orphaned_slot), limit).await
    }
}

impl Line for StoreWriter {
    fn place(&self) -> (i32, i64) {
        self.place()
    }

    fn head(&self) -> ChainHead {
        self.head()
    }

    async fn balances(&mut self, ids: &[i64]) -> Result<Vec<AccountRow>, StoreError> {
        self.balances(ids).await
    }

    async fn write(&mut self, batch: &Batch, at: DateTime<Utc>) -> Result<(), WriteError> {
        self.write(batch, at).await
    }

    async fn write_exactly<T: Send>(
        &mut self,
        account_ids: &[i64],
        hold_ids: &[Uuid],
        operation_ids: &[Uuid],
        at: DateTime<Utc>,
        decide: impl FnOnce(Truth) -> (Batch, T) + Send,
    ) -> Result<T, WriteError> {
        self.write_exactly(account_ids, hold_ids, operation_ids, at, decide).await
    }

    async fn heartbeat(&mut self) -> Result<bool, StoreError> {
        self.heartbeat().await
    }
}
