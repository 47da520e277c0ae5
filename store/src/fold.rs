//! Sums of history up to a link of each slot's chain.
//!
//! The sums move together with that mark in one transaction: each row of history is in them once, whatever the clocks say and
//! wherever a fold is cut off.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

/// Rows of history folded in one transaction: some tens of milliseconds.
const ROWS_AT_ONCE: i64 = 20_000;

/// Statistics lag behind history. By them a fold would read all of this month, sort thousands of rows to find a few groups, or read
/// all holds to find one.
const PLANNER: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_mergejoin = off";

/// What a fold did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// All of history is in the sums, or another replica is at it.
    All,
    /// There is more to fold.
    More,
}

/// One kind of sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold {
    /// The table that says how far each slot is folded.
    pub marks: &'static str,
    /// Adds the rows of slot $1 after link $2 and up to link $3, which have times from $4 to $5: these leave out whole months. Its
    /// rows are sorted, so that the folds of two slots don't wait for each other.
    pub add: &'static str,
}

/// How far a slot is folded.
#[derive(QueryableByName)]
struct Mark {
    #[diesel(sql_type = BigInt)]
    batch: i64,
}

#[derive(QueryableByName)]
struct Slot {
    #[diesel(sql_type = Integer)]
    slot: i32,
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

impl Fold {
    /// Folds a piece of each slot's history. `now` is when the look began.
    ///
    /// # Errors
    /// As for every statement; then nothing of the slot at hand was folded.
    pub async fn run(self, store: &Store, now: DateTime<Utc>) -> Result<Folded, StoreError> {
        let mut connection = store.get().await?;
        let marks = self.marks;
        diesel::sql_query(format!("INSERT INTO {marks} (slot) SELECT slot FROM instances ON CONFLICT DO NOTHING"))
            .execute(&mut connection)
            .await?;
        let slots = diesel::sql_query(format!("SELECT slot FROM {marks} ORDER BY slot"));
        let slots: Vec<Slot> = slots.load(&mut connection).await?;
        let mut folded = Folded::All;
        for Slot { slot } in slots {
            if connection.transaction(async |connection| self.fold_slot(connection, slot, now).await).await? == Folded::More {
                folded = Folded::More;
            }
        }
        Ok(folded)
    }

    async fn fold_slot(self, connection: &mut AsyncPgConnection, slot: i32, now: DateTime<Utc>) -> Result<Folded, StoreError> {
        let mark = diesel::sql_query(format!("SELECT batch FROM {} WHERE slot = $1 FOR UPDATE SKIP LOCKED", self.marks));
        let mark: Option<Mark> = mark.bind::<Integer, _>(slot).get_result(connection).await.optional()?;
        let Some(Mark { batch: mark }) = mark else { return Ok(Folded::All) };
        let links = next_links(connection, slot, mark).await?;
        let Links { last: Some(last), first_at: Some(first_at), last_at: Some(last_at) } = links else {
            // Nothing is open: what comes later is not older than this look.
            self.move_mark(connection, slot, mark, now).await?;
            return Ok(Folded::All);
        };
        connection.batch_execute(PLANNER).await?;
        diesel::sql_query(self.add)
            .bind::<Integer, _>(slot)
            .bind::<BigInt, _>(mark)
            .bind::<BigInt, _>(last)
            .bind::<Timestamptz, _>(first_at)
            .bind::<Timestamptz, _>(last_at)
            .execute(connection)
            .await?;
        self.move_mark(connection, slot, last, last_at).await?;
        Ok(Folded::More)
    }

    async fn move_mark(
        self,
        connection: &mut AsyncPgConnection,
        slot: i32,
        batch: i64,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::sql_query(format!("UPDATE {} SET batch = $2, folded_at = $3 WHERE slot = $1", self.marks))
            .bind::<Integer, _>(slot)
            .bind::<BigInt, _>(batch)
            .bind::<Timestamptz, _>(at)
            .execute(connection)
            .await?;
        Ok(())
    }
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
