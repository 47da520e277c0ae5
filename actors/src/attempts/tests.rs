use super::*;
use chrono::DateTime;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::atomic::{AtomicBool, Ordering};
use tollgate_store::StoreError;
use uuid::Uuid;

/// A table in memory that can be away, and panics on a kind called `panic`.
#[derive(Default)]
struct Table {
    is_away: AtomicBool,
    batches: Mutex<Vec<Vec<i16>>>,
}

impl Table {
    fn ordinals(&self) -> Vec<i16> {
        self.batches.lock().unwrap().concat()
    }
}

impl AttemptTable for Table {
    fn insert<'a>(&'a self, rows: &'a [FailedAttempt]) -> BoxFuture<'a, Result<(), StoreError>> {
        async {
            assert!(rows.iter().all(|row| row.kind != "panic"), "told to");
            if self.is_away.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable("away".to_owned()));
            }
            self.batches.lock().unwrap().push(rows.iter().map(|row| row.ordinal).collect());
            Ok(())
        }
        .boxed()
    }
}

fn started() -> (Arc<Table>, Attempts) {
    let table: Arc<Table> = Arc::default();
    let shared: Arc<dyn AttemptTable> = Arc::<Table>::clone(&table);
    let attempts = start(shared, &tokio::runtime::Handle::current());
    (table, attempts)
}

fn row(ordinal: i16, kind: &str) -> FailedAttempt {
    FailedAttempt {
        generation_id: Uuid::nil(),
        ordinal,
        user_id: 1,
        gateway: "openrouter".to_owned(),
        model: "m".to_owned(),
        kind: kind.to_owned(),
        status: None,
        latency_ms: 1,
        created_at: DateTime::UNIX_EPOCH,
    }
}

#[tokio::test(start_paused = true)]
async fn rows_share_a_statement_and_a_drain_writes_what_waits() {
    let (table, attempts) = started();
    (1..=5).for_each(|ordinal| attempts.record(row(ordinal, "status")));
    tokio::time::sleep(2 * LINGER).await;
    assert_eq!(*table.batches.lock().unwrap(), [[1, 2, 3, 4, 5]]);
    attempts.record(row(6, "status"));
    attempts.drain(Duration::from_secs(1)).await.unwrap();
    assert_eq!(table.ordinals(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(attempts.drain(Duration::from_secs(1)).await, Ok(()), "a second drain has nothing to do");
    attempts.record(row(7, "status"));
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_away_for_a_moment_costs_no_row_and_one_that_stays_away_holds_nobody_up() {
    let (table, attempts) = started();
    table.is_away.store(true, Ordering::SeqCst);
    attempts.record(row(1, "status"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    table.is_away.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(table.ordinals(), [1]);
    table.is_away.store(true, Ordering::SeqCst);
    (0..2 * i16::try_from(QUEUE_MAX).unwrap()).for_each(|_| attempts.record(row(2, "status")));
    assert_eq!(attempts.drain(Duration::from_secs(1)).await, Ok(()));
    assert_eq!(table.ordinals(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_its_batch_and_nothing_else() {
    let (table, attempts) = started();
    attempts.record(row(1, "panic"));
    tokio::time::sleep(2 * LINGER).await;
    attempts.record(row(2, "status"));
    attempts.drain(Duration::from_secs(1)).await.unwrap();
    assert_eq!(table.ordinals(), [2]);
}
