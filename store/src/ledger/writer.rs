//! The one connection that changes the ledger.
//!
//! A batch is decided on what is believed (balances that this writer wrote last, holds as their tickets say) and written
//! in one statement that fails when a belief was wrong. Then the same batch is decided again on what is read under
//! lock. So a lone replica needs one round trip a batch, and any number of replicas stays exact.

use super::batch::lay_out;
use super::chain::Chained;
use super::instances;
use super::rows::{AccountRow, Batch, ChainHead, HoldRow, OperationRow};
use super::settle::settle_alone;
use crate::schema::{accounts, holds, ledger_batches, operations};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use std::collections::HashMap;
use uuid::Uuid;

/// Plans of the batch statement are made while tables are small and kept while they grow: only index look-ups are good
/// at any size. Just-in-time compilation would cost more than the statement.
const PLANNER: &str = "SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan";

/// Keys that a batch breaks when what was believed of a chain, a hold or an operation does not hold.
const BELIEFS: [&str; 3] = ["ledger_batches_pkey", "holds_pkey", "operations_pkey"];

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It was decided on a belief that does not hold. Nothing was written.
    #[error("decided on stale beliefs")]
    Stale,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DieselError> for WriteError {
    fn from(error: DieselError) -> Self {
        match &error {
            DieselError::DatabaseError(_, info) if info.message() == "ledger_stale" => Self::Stale,
            _ => match StoreError::from(error) {
                // Another process took this slot's next link, this one's last commit was not heard, or an id is used again.
                error if BELIEFS.iter().any(|key| error.is_constraint(key)) => Self::Stale,
                error => Self::Store(error),
            },
        }
    }
}

/// This replica's house accounts, by (kind, asset).
pub type House = HashMap<(String, String), AccountRow>;

/// What the database says of the accounts, holds and operations of a batch, under lock.
#[derive(Debug, Default)]
pub struct Truth {
    pub accounts: Vec<AccountRow>,
    pub holds: Vec<HoldRow>,
    pub operations: Vec<OperationRow>,
}

/// The connection, the slot it holds, and the head of the slot's chain.
pub struct Writer {
    connection: AsyncPgConnection,
    slot: i32,
    epoch: i64,
    head: ChainHead,
}

impl Writer {
    /// Takes a free slot, `preferred` first, and makes its house accounts. Returns also whether the slot is new to
    /// this process: then its open holds are a dead process's.
    ///
    /// # Errors
    /// `Unavailable` when the database can't be reached or every slot is taken.
    pub async fn claim(store: &Store, name: &str, preferred: Option<(i32, i64)>) -> Result<(Self, House, bool), StoreError> {
        let mut connection = store.dedicated().await?;
        connection.batch_execute(PLANNER).await?;
        let claim = instances::claim_slot(&mut connection, name, preferred).await?;
        let house = instances::house_accounts(&mut connection, claim.slot).await?;
        let head = chain_head(&mut connection, claim.slot).await?;
        let writer = Self { connection, slot: claim.slot, epoch: claim.epoch, head };
        Ok((writer, house, claim.taken_over))
    }

    /// The slot and its epoch, to ask for again after a lost connection.
    #[must_use]
    pub const fn place(&self) -> (i32, i64) {
        (self.slot, self.epoch)
    }

    /// The last link of this slot's chain.
    #[must_use]
    pub const fn head(&self) -> ChainHead {
        self.head
    }

    /// The balances of these accounts, without lock: something to believe.
    ///
    /// # Errors
    /// As the database's.
    pub async fn balances(&mut self, ids: &[i64]) -> Result<Vec<AccountRow>, StoreError> {
        let query = accounts::table.filter(accounts::id.eq_any(ids)).select(AccountRow::as_select());
        Ok(query.load(&mut self.connection).await?)
    }

    /// Writes a batch that was decided on beliefs: one statement, one commit.
    ///
    /// # Errors
    /// `Stale` when a belief was wrong. `Unavailable` leaves it open whether the batch was committed.
    pub async fn write(&mut self, batch: &Batch, at: DateTime<Utc>) -> Result<(), WriteError> {
        let chained = Chained::onto(self.head, batch, self.slot, at);
        execute(&mut self.connection, &chained).await?;
        self.head = chained.head;
        Ok(())
    }

    /// Reads the truth under lock, lets `decide` make the batch of it, and writes that in the same transaction.
    ///
    /// # Errors
    /// `Unavailable` leaves it open whether the batch was committed; the same ids tell on the next try.
    pub async fn write_exactly<T: Send>(
        &mut self,
        account_ids: &[i64],
        hold_ids: &[Uuid],
        operation_ids: &[Uuid],
        at: DateTime<Utc>,
        decide: impl FnOnce(Truth) -> (Batch, T) + Send,
    ) -> Result<T, WriteError> {
        let slot = self.slot;
        let (answer, head) = self
            .connection
            .transaction(async |connection| {
                let truth = read_truth(connection, account_ids, hold_ids, operation_ids).await?;
                let head = chain_head(connection, slot).await?;
                let (batch, answer) = decide(truth);
                let chained = Chained::onto(head, &batch, slot, at);
                if !batch.is_empty() {
                    execute(connection, &chained).await?;
                }
                Ok::<_, WriteError>((answer, chained.head))
            })
            .await?;
        self.head = head;
        Ok(answer)
    }

    /// Tells the other replicas that this one lives. False when the slot is no longer ours.
    ///
    /// # Errors
    /// As the database's.
    pub async fn heartbeat(&mut self) -> Result<bool, StoreError> {
        instances::heartbeat(&mut self.connection, self.slot, self.epoch).await
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("slot", &self.slot).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

async fn execute(connection: &mut AsyncPgConnection, chained: &Chained<'_>) -> Result<usize, DieselError> {
    match settle_alone(chained) {
        Some(settle) => settle.execute(connection).await,
        None => lay_out(chained).execute(connection).await,
    }
}

/// Accounts first and in order, as in the batch statement, so that no two replicas wait for each other.
async fn read_truth(
    connection: &mut AsyncPgConnection,
    account_ids: &[i64],
    hold_ids: &[Uuid],
    operation_ids: &[Uuid],
) -> Result<Truth, DieselError> {
    let accounts = accounts::table
        .filter(accounts::id.eq_any(account_ids))
        .order(accounts::id)
        .select(AccountRow::as_select())
        .for_update()
        .load(connection)
        .await?;
    let holds = holds::table.filter(holds::id.eq_any(hold_ids)).select(HoldRow::as_select()).load(connection).await?;
    let operations =
        operations::table.filter(operations::id.eq_any(operation_ids)).select(OperationRow::as_select()).load(connection).await?;
    Ok(Truth { accounts, holds, operations })
}

async fn chain_head(connection: &mut AsyncPgConnection, slot: i32) -> Result<ChainHead, DieselError> {
    let last: Option<(i64, Vec<u8>)> = ledger_batches::table
        .filter(ledger_batches::slot.eq(slot))
        .order(ledger_batches::batch.desc())
        .select((ledger_batches::batch, ledger_batches::hash))
        .first(connection)
        .await
        .optional()?;
    Ok(match last {
        Some((batch, hash)) => ChainHead { batch, hash: hash.try_into().unwrap_or_default() },
        None => ChainHead::GENESIS,
    })
}
