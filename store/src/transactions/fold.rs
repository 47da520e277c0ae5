//! Folds history into `transaction_totals`.

use crate::fold::{Fold, Folded};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};

const CREDITS: Fold = Fold { marks: "transaction_folds", add: include_str!("fold.sql") };

/// Folds a piece of each slot's history. `now` is when the look began.
///
/// # Errors
/// As for every statement; then nothing of the slot at hand was folded.
pub async fn fold(store: &Store, now: DateTime<Utc>) -> Result<Folded, StoreError> {
    CREDITS.run(store, now).await
}
