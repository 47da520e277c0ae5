//! The work, piece by piece.

use super::{UpkeepDeps, before};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tollgate_store::{Folded, Store, StoreError, account_deletion, activity, failed_attempts, idempotency, ledger, transactions};

/// Rows forgotten in one statement: some milliseconds.
const ROWS_AT_ONCE: i64 = 1_000;
/// Between two statements others have the database.
const PAUSE: Duration = Duration::from_millis(50);
/// How long traces of a deleted account are looked for: no call runs so long, and no journal waits so long.
const TRACES_FOR: TimeDelta = TimeDelta::days(7);
/// How long it is remembered that a batch of activity has landed; a journal is replayed long before.
const BATCHES_KEPT: TimeDelta = TimeDelta::days(7);
/// How long it is remembered what was tried in vain for a call.
const ATTEMPTS_KEPT: TimeDelta = TimeDelta::days(30);

/// Folds until all of history is in the totals of credits, and all calls are in the sums of activity.
pub(super) async fn fold(deps: Arc<UpkeepDeps>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let now = deps.clock.now();
        let folded = tokio::try_join!(transactions::fold(&deps.store, now), activity::fold(&deps.store, now));
        match folded {
            Ok((Folded::All, Folded::All)) => return,
            Ok(_) => {}
            Err(error) => return tracing::warn!(%error, "history is not folded yet"),
        }
    }
}

/// What is forgotten, and from before when.
#[derive(Clone, Copy, Debug)]
enum Past {
    Activity(DateTime<Utc>),
    ActivityBatches(DateTime<Utc>),
    /// As of that time.
    IdempotencyKeys(DateTime<Utc>),
    UnpaidHolds(DateTime<Utc>),
    FailedAttempts(DateTime<Utc>),
}

impl Past {
    async fn forget_some(self, store: &Store) -> Result<usize, StoreError> {
        match self {
            Self::Activity(before) => activity::forget_rows(store, before, ROWS_AT_ONCE).await,
            Self::ActivityBatches(before) => activity::forget_batches(store, before, ROWS_AT_ONCE).await,
            Self::IdempotencyKeys(now) => idempotency::forget(store, now, ROWS_AT_ONCE).await,
            Self::UnpaidHolds(before) => ledger::forget_unpaid_holds(store, before, ROWS_AT_ONCE).await,
            Self::FailedAttempts(before) => failed_attempts::forget(store, before, ROWS_AT_ONCE).await,
        }
    }
}

/// Forgets everything that is past its time.
pub(super) async fn prune(deps: Arc<UpkeepDeps>, stop: CancellationToken) {
    let (now, retention) = (deps.clock.now(), deps.retention);
    let past = [
        Past::Activity(retention.activity_since(now).and_time(NaiveTime::MIN).and_utc()),
        Past::ActivityBatches(now - BATCHES_KEPT),
        Past::IdempotencyKeys(now),
        Past::UnpaidHolds(before(now, retention.unpaid_hold_days)),
        Past::FailedAttempts(now - ATTEMPTS_KEPT),
    ];
    match account_deletion::sweep(&deps.store, now - TRACES_FOR).await {
        Ok(0) => {}
        Ok(rows) => tracing::info!(rows, "erased what deleted accounts had left behind"),
        Err(error) => tracing::warn!(%error, "what deleted accounts have left behind is not erased yet"),
    }
    for past in past {
        match forget(&deps.store, past, &stop).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(?past, rows, "forgot what is past its time"),
            Err(error) => tracing::warn!(?past, %error, "what is past its time is not forgotten yet"),
        }
    }
}

/// Piece by piece, until one is not full.
async fn forget(store: &Store, past: Past, stop: &CancellationToken) -> Result<usize, StoreError> {
    let mut rows = 0;
    while !stop.is_cancelled() {
        let forgotten = past.forget_some(store).await?;
        rows += forgotten;
        if i64::try_from(forgotten).unwrap_or(i64::MAX) < ROWS_AT_ONCE {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(rows)
}
