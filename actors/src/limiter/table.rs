//! Where counts and alerts are kept: the store, outside tests.

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tollgate_store::limit_counters::{CounterRow, Subject, Written};
use tollgate_store::rate_limit_alerts::NewAlert;
use tollgate_store::{Store, StoreError, limit_counters, rate_limit_alerts};
use uuid::Uuid;

/// The tables, as far as the limiter needs them.
pub trait LimitTable: Send + Sync {
    /// The totals of those that have any.
    fn read<'a>(&'a self, subjects: &'a [Subject]) -> BoxFuture<'a, Result<Vec<CounterRow>, StoreError>>;

    /// Adds a batch, once, however often it is sent under that number.
    fn add<'a>(&'a self, writer: Uuid, sequence: i64, rows: &'a [CounterRow]) -> BoxFuture<'a, Result<Written, StoreError>>;

    fn alert<'a>(&'a self, alerts: &'a [NewAlert]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Forgets counts whose month began before the one time, and alerts of before the other.
    fn prune(&self, months: DateTime<Utc>, alerts: DateTime<Utc>) -> BoxFuture<'_, Result<usize, StoreError>>;
}

impl LimitTable for Store {
    fn read<'a>(&'a self, subjects: &'a [Subject]) -> BoxFuture<'a, Result<Vec<CounterRow>, StoreError>> {
        limit_counters::read(self, subjects).boxed()
    }

    fn add<'a>(&'a self, writer: Uuid, sequence: i64, rows: &'a [CounterRow]) -> BoxFuture<'a, Result<Written, StoreError>> {
        limit_counters::add(self, writer, sequence, rows).boxed()
    }

    fn alert<'a>(&'a self, alerts: &'a [NewAlert]) -> BoxFuture<'a, Result<(), StoreError>> {
        rate_limit_alerts::insert(self, alerts).boxed()
    }

    fn prune(&self, months: DateTime<Utc>, alerts: DateTime<Utc>) -> BoxFuture<'_, Result<usize, StoreError>> {
        async move {
            let counters = limit_counters::prune(self, months).await?;
            Ok(counters + rate_limit_alerts::prune(self, alerts).await?)
        }
        .boxed()
    }
}
