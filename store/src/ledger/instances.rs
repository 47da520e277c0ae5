//! Who is alive, and which holds are due to be closed for want of an owner.

use super::rows::AccountRow;
use super::writer::House;
use crate::schema::{accounts, instances};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::dsl::{now, sql};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

/// Replicas on one database. Each takes the first slot that no living process holds.
const SLOTS_MAX: i32 = 256;

/// The first of the two numbers of a slot's advisory lock; any number that no one else locks.
const SLOT_LOCK: i32 = 815_001;

/// A replica without a heartbeat for this long is dead (decision 12).
const DEAD_AFTER: &str = "10 seconds";

/// The house's accounts, once for each asset.
const HOUSE_KINDS: [&str; 4] = ["revenue", "grants", "clearing", "refunds"];
const ASSETS: [&str; 2] = ["usd", "tokens"];

diesel::define_sql_function! {
    fn pg_try_advisory_lock(class: Integer, object: Integer) -> Bool;
}

/// A slot that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub slot: i32,
    pub epoch: i64,
    /// The slot was another's before: what it has open is nobody's now.
    pub taken_over: bool,
}

/// Takes a slot under an advisory lock that lives as long as the connection.
pub async fn claim_slot(
    connection: &mut AsyncPgConnection,
    name: &str,
    preferred: Option<(i32, i64)>,
) -> Result<Claim, StoreError> {
    let wanted = preferred.map(|(slot, _)| slot);
    for slot in wanted.into_iter().chain(1..=SLOTS_MAX) {
        let locked: bool = diesel::select(pg_try_advisory_lock(SLOT_LOCK, slot)).get_result(connection).await?;
        if locked {
            return take_slot(connection, name, slot, preferred).await;
        }
    }
    Err(StoreError::Unavailable(format!("all {SLOTS_MAX} slots for replicas are taken")))
}

async fn take_slot(
    connection: &mut AsyncPgConnection,
    name: &str,
    slot: i32,
    preferred: Option<(i32, i64)>,
) -> Result<Claim, StoreError> {
    let epoch: Option<i64> = instances::table.find(slot).select(instances::epoch).first(connection).await.optional()?;
    if let (Some(epoch), Some(mine)) = (epoch, preferred)
        && mine == (slot, epoch)
    {
        return Ok(Claim { slot, epoch, taken_over: false });
    }
    let epoch: i64 = diesel::insert_into(instances::table)
        .values((
            instances::slot.eq(slot),
            instances::epoch.eq(1),
            instances::name.eq(name),
            instances::started_at.eq(now),
            instances::heartbeat_at.eq(now),
        ))
        .on_conflict(instances::slot)
        .do_update()
        .set((
            instances::epoch.eq(instances::epoch + 1),
            instances::name.eq(name),
            instances::started_at.eq(now),
            instances::heartbeat_at.eq(now),
        ))
        .returning(instances::epoch)
        .get_result(connection)
        .await?;
    Ok(Claim { slot, epoch, taken_over: epoch > 1 })
}

/// The slot's house accounts, made on first use.
pub async fn house_accounts(connection: &mut AsyncPgConnection, slot: i32) -> Result<House, StoreError> {
    let missing: Vec<_> = HOUSE_KINDS
        .iter()
        .flat_map(|kind| ASSETS.iter().map(move |asset| (kind, asset)))
        .map(|(kind, asset)| (accounts::kind.eq(*kind), accounts::asset.eq(*asset), accounts::slot.eq(slot)))
        .collect();
    diesel::insert_into(accounts::table).values(missing).on_conflict_do_nothing().execute(connection).await?;
    let rows: Vec<(String, String, AccountRow)> = accounts::table
        .filter(accounts::slot.eq(slot))
        .select((accounts::kind, accounts::asset, AccountRow::as_select()))
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(|(kind, asset, row)| ((kind, asset), row)).collect())
}

pub async fn heartbeat(connection: &mut AsyncPgConnection, slot: i32, epoch: i64) -> Result<bool, StoreError> {
    let mine = instances::table.filter(instances::slot.eq(slot).and(instances::epoch.eq(epoch)));
    Ok(diesel::update(mine).set(instances::heartbeat_at.eq(now)).execute(connection).await? == 1)
}

/// An open hold that no one will close: what a closing needs to know of it.
#[derive(Clone, Debug, QueryableByName)]
pub struct DueHold {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = BigInt)]
    pub user_id: i64,
    #[diesel(sql_type = Text)]
    pub asset: String,
    #[diesel(sql_type = BigInt)]
    pub account: i64,
    #[diesel(sql_type = BigInt)]
    pub debt_account: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub budget_account: Option<i64>,
    #[diesel(sql_type = BigInt)]
    pub asked: i64,
    #[diesel(sql_type = BigInt)]
    pub amount: i64,
    /// Its time is over, rather than its owner dead.
    #[diesel(sql_type = Bool)]
    pub expired: bool,
}

/// Up to `limit` open holds whose time is over, or whose replica is dead. With `orphaned_slot`: also all of that slot
/// that were opened before this process took it.
///
/// # Errors
/// As the database's.
pub async fn due_holds(
    store: &Store,
    at: DateTime<Utc>,
    orphaned_slot: Option<i32>,
    limit: i64,
) -> Result<Vec<DueHold>, StoreError> {
    let due = diesel::sql_query(format!(
        "SELECT h.id, a.user_id, a.asset, h.account_id AS account, d.id AS debt_account,
             h.budget_account_id AS budget_account, h.asked, h.amount, h.expires_at <= $1 AS expired
         FROM holds h
         JOIN accounts a ON a.id = h.account_id
         JOIN accounts d ON d.user_id = a.user_id AND d.kind = 'debt' AND d.asset = a.asset
         WHERE h.state = 0 AND (h.expires_at <= $1 OR h.slot = $2 OR h.slot IN (
             SELECT i.slot FROM instances i WHERE i.heartbeat_at < now() - interval '{DEAD_AFTER}'))
         LIMIT $3"
    ))
    .bind::<Timestamptz, _>(at)
    .bind::<Integer, _>(orphaned_slot.unwrap_or(-1))
    .bind::<BigInt, _>(limit);
    Ok(due.load(&mut store.get().await?).await?)
}

/// Extends open holds, each to its time. One that is locked is being closed: to wait for it could be a deadlock.
///
/// # Errors
/// As the database's.
pub async fn extend_holds(store: &Store, until: &[(Uuid, DateTime<Utc>)]) -> Result<usize, StoreError> {
    let (ids, times): (Vec<Uuid>, Vec<DateTime<Utc>>) = until.iter().copied().unzip();
    let extend = diesel::sql_query(
        "WITH due AS MATERIALIZED (
             SELECT h.id, u.until FROM unnest($1, $2) AS u (id, until)
             JOIN holds h ON h.id = u.id AND h.state = 0 FOR UPDATE OF h SKIP LOCKED)
         UPDATE holds h SET expires_at = d.until FROM due d WHERE h.id = d.id",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Timestamptz>, _>(times);
    Ok(extend.execute(&mut store.get().await?).await?)
}

/// Makes the partitions of this month's history and the next two's.
///
/// # Errors
/// As the database's.
pub async fn ensure_partitions(store: &Store, at: DateTime<Utc>) -> Result<(), StoreError> {
    let call = sql::<Bool>("SELECT ensure_history_partitions(").bind::<Timestamptz, _>(at).sql(") IS NULL");
    let _: bool = call.get_result(&mut store.get().await?).await?;
    Ok(())
}
