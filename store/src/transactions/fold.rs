//! Folds history into `transaction_totals`.

use crate::fold::{Fold, Folded};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};

const CREDITS: Fold = Fold {
    marks: "transaction_folds",
    add: "INSERT INTO transaction_totals AS total (account_id, kind, count, amount)
         SELECT account_id, kind, count(*), sum(amount) FROM account_movements
         WHERE slot = $1 AND batch > $2 AND batch <= $3 AND created_at BETWEEN $4 AND $5
         GROUP BY account_id, kind ORDER BY account_id, kind
         ON CONFLICT (account_id, kind) DO UPDATE SET count = total.count + excluded.count, amount = total.amount + excluded.amount",
};

/// Folds a piece of each slot's history. `now` is when the look began.
///
/// # Errors
/// As for every statement; then nothing of the slot at hand was folded.
pub async fn fold(store: &Store, now: DateTime<Utc>) -> Result<Folded, StoreError> {
    CREDITS.run(store, now).await
}
