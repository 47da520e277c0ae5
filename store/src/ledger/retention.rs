//! What the ledger forgets in time, and what it keeps for ever.
//!
//! Kept: transfers, usage records, operations and links (the chain hashes them, and an operation is what makes a repeated credit
//! have one effect); settled holds (each proves its usage record, its debt and its account to `ledger verify`, and leads to the
//! generation); open holds. Forgotten: holds that cost nothing. No law speaks of them; what is lost is that a settle that comes so
//! late, out of a journal, would find no hold to charge. So they are kept for longer than a server stays switched off.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::sql_query;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;

/// Forgets up to `limit` holds made before that time that were released, expired or refused. Answers how many.
///
/// # Errors
/// As the database's.
pub async fn forget_unpaid_holds(store: &Store, before: DateTime<Utc>, limit: i64) -> Result<usize, StoreError> {
    let mut connection = store.get().await?;
    let delete = sql_query(
        "DELETE FROM holds WHERE id = ANY (ARRAY(
             SELECT id FROM holds WHERE state IN (2, 3, 4) AND created_at < $1
             ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    );
    Ok(delete.bind::<Timestamptz, _>(before).bind::<BigInt, _>(limit).execute(&mut connection).await?)
}
