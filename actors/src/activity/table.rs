//! Where rows land: the store, outside tests.

use super::ActivityRow;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tollgate_store::{Store, StoreError, activity};
use uuid::Uuid;

/// The table, as far as the writer needs it.
pub trait ActivityTable: Send + Sync {
    /// Writes a batch; once, however often it is asked for under one id.
    fn insert<'a>(&'a self, id: Uuid, at: DateTime<Utc>, rows: &'a [ActivityRow]) -> BoxFuture<'a, Result<(), StoreError>>;
}

impl ActivityTable for Store {
    fn insert<'a>(&'a self, id: Uuid, at: DateTime<Utc>, rows: &'a [ActivityRow]) -> BoxFuture<'a, Result<(), StoreError>> {
        activity::insert_batch(self, id, at, rows).boxed()
    }
}
