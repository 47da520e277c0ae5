//! Folds history into `transaction_totals`.
//!
//! How far it is folded is a link of each slot's chain, and the sums move together with that mark in one transaction: each
//! movement is in the sums once, whatever the clocks say and wherever a fold is cut off.

use crate::schema::transaction_folds;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

/// Rows of history folded in one transaction: some tens of milliseconds.
const ROWS_AT_ONCE: i64 = 20_000;

/// What a fold did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// All of history is in the sums, or another replica is at it.
    All,
    /// There is more to fold.
    More,
}

/// Folds a piece of each slot's history. `now` is when the look began.
///
/// # Errors
/// As for every statement; then nothing of the slot at hand was folded.
pub async fn fold(store: &Store, now: DateTime<Utc>) -> Result<Folded, StoreError> {
    let mut connection = store.get().await?;
    diesel::sql_query("INSERT INTO transaction_folds (slot) SELECT slot FROM instances ON CONFLICT DO NOTHING")
        .execute(&mut connection)
        .await?;
    let slots: Vec<i32> =
        transaction_folds::table.select(transaction_folds::slot).order(transaction_folds::slot).load(&mut connection).await?;
    let mut folded = Folded::All;
    for slot in slots {
        if connection.transaction(async |connection| fold_slot(connection, slot, now).await).await? == Folded::More {
            folded = Folded::More;
        }
    }
    Ok(folded)
}

/// The next links of a slot, and the times of what they cover.
#[derive(QueryableByName)]
struct Links {
    #[diesel(sql_type = Nullable<BigInt>)]
    last: Option<i64>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    first_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_at: Option<DateTime<Utc>>,
}

async fn fold_slot(connection: &mut AsyncPgConnection, slot: i32, now: DateTime<Utc>) -> Result<Folded, StoreError> {
    let mark = transaction_folds::table.find(slot).select(transaction_folds::batch).for_update().skip_locked();
    let Some(mark): Option<i64> = mark.first(connection).await.optional()? else { return Ok(Folded::All) };
    let links = next_links(connection, slot, mark).await?;
    let Links { last: Some(last), first_at: Some(first_at), last_at: Some(last_at) } = links else {
        // Nothing is open: what comes later is not older than this look.
        move_mark(connection, slot, mark, now).await?;
        return Ok(Folded::All);
    };
    add(connection, slot, (mark, last), (first_at, last_at)).await?;
    move_mark(connection, slot, last, last_at).await?;
    Ok(Folded::More)
}

/// As many links as have [`ROWS_AT_ONCE`] rows, at least one.
async fn next_links(connection: &mut AsyncPgConnection, slot: i32, mark: i64) -> Result<Links, StoreError> {
    let links = diesel::sql_query(
        "SELECT max(batch) AS last, min(created_at) AS first_at, max(created_at) AS last_at FROM (
             SELECT batch, created_at, sum(transfers + usage_records) OVER (ORDER BY batch) - transfers - usage_records AS rows_before
             FROM (SELECT * FROM ledger_batches WHERE slot = $1 AND batch > $2 ORDER BY batch LIMIT $3) ahead) next
         WHERE rows_before < $3",
    );
    let links = links.bind::<Integer, _>(slot).bind::<BigInt, _>(mark).bind::<BigInt, _>(ROWS_AT_ONCE);
    Ok(links.get_result(connection).await?)
}

/// Adds the movements of the links after the first and up to the second.
async fn add(
    connection: &mut AsyncPgConnection,
    slot: i32,
    (after, last): (i64, i64),
    (first_at, last_at): (DateTime<Utc>, DateTime<Utc>),
) -> Result<(), StoreError> {
    // The times leave out whole months; a plan made while history was short would read all of this one.
    connection.batch_execute("SET LOCAL enable_seqscan = off").await?;
    // Sorted, so that the folds of two slots don't wait for each other's accounts.
    diesel::sql_query(
        "INSERT INTO transaction_totals AS total (account_id, kind, count, amount)
         SELECT account_id, kind, count(*), sum(amount) FROM account_movements
         WHERE slot = $1 AND batch > $2 AND batch <= $3 AND created_at BETWEEN $4 AND $5
         GROUP BY account_id, kind ORDER BY account_id, kind
         ON CONFLICT (account_id, kind) DO UPDATE SET count = total.count + excluded.count, amount = total.amount + excluded.amount",
    )
    .bind::<Integer, _>(slot)
    .bind::<BigInt, _>(after)
    .bind::<BigInt, _>(last)
    .bind::<Timestamptz, _>(first_at)
    .bind::<Timestamptz, _>(last_at)
    .execute(connection)
    .await?;
    Ok(())
}

async fn move_mark(connection: &mut AsyncPgConnection, slot: i32, batch: i64, at: DateTime<Utc>) -> Result<(), StoreError> {
    diesel::update(transaction_folds::table.find(slot))
        .set((transaction_folds::batch.eq(batch), transaction_folds::folded_at.eq(at)))
        .execute(connection)
        .await?;
    Ok(())
}
