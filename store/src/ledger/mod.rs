//! The ledger's tables. Only a [`Writer`] changes them, but for the limits of budgets; everyone may read.
//!
//! `batch.sql` writes a whole batch in one statement, `settle.sql` one that is a single settle; `writer.rs` decides when it may be
//! believed, `instances.rs` says who is alive, `budgets.rs` opens the sub-accounts of keys' budgets, `chain.rs` makes history
//! tamper-evident, `verify.rs` proves that the books balance, `retention.rs` says what is forgotten.

mod batch;
pub(crate) mod budgets;
mod chain;
mod instances;
mod retention;
mod rows;
mod settle;
mod verify;
mod writer;

pub use budgets::{BudgetLeft, BudgetRow, budgets_left, open_budget};
pub use instances::{DueHold, due_holds, ensure_partitions, extend_holds};
pub use retention::forget_unpaid_holds;
pub use rows::{
    AccountChange, AccountRow, Batch, ChainHead, ClosedHold, HoldRow, HoldState, NewHold, OperationRow, Transfer, Usage,
};
pub use verify::{Anchor, VerifyOptions, VerifyReport, verify};
pub use writer::{House, Truth, WriteError, Writer};

use crate::schema::accounts;
use crate::{Store, StoreError};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

/// The balances of these accounts; an account that is not there is left out.
///
/// # Errors
/// As the database's.
pub async fn accounts(store: &Store, ids: &[i64]) -> Result<Vec<AccountRow>, StoreError> {
    let rows = accounts::table.filter(accounts::id.eq_any(ids)).select(AccountRow::as_select());
    Ok(rows.load(&mut store.get().await?).await?)
}
