//! Folds calls out of the books into the sums of activity.

use crate::fold::{Fold, Folded};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};

const CALLS: Fold = Fold { marks: "activity_folds", add: include_str!("fold.sql") };

/// Folds a piece of each slot's calls. `now` is when the look began.
///
/// # Errors
/// As for every statement; then nothing of the slot at hand was folded.
pub async fn fold(store: &Store, now: DateTime<Utc>) -> Result<Folded, StoreError> {
    CALLS.run(store, now).await
}
