//! Where rows land: the store, outside tests.

use super::FailedAttempt;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tollgate_store::{Store, StoreError, failed_attempts};

/// The table, as far as the writer needs it.
pub trait AttemptTable: Send + Sync {
    /// Writes a batch; once, however often it is asked for.
    fn insert<'a>(&'a self, rows: &'a [FailedAttempt]) -> BoxFuture<'a, Result<(), StoreError>>;
}

impl AttemptTable for Store {
    fn insert<'a>(&'a self, rows: &'a [FailedAttempt]) -> BoxFuture<'a, Result<(), StoreError>> {
        failed_attempts::insert_batch(self, rows).boxed()
    }
}
