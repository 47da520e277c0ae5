//! The sub-accounts of keys' budgets: the table `key_budgets`, and the rows of `accounts` that it names.
//!
//! A sub-account begins with the limit, and the ledger's writer takes from it what calls hold and cost. A limit that changes is
//! added to, or taken from, what is left: the writer finds its belief wrong and decides anew, so no call passes unseen.

use crate::schema::{accounts, api_keys, key_budgets};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use tollgate_domain::{AccountId, Budget, BudgetPeriod, KeyId, Nanos};

/// A budget in the row of its key, its fields all there or all absent.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = api_keys)]
pub struct BudgetRow {
    pub budget_nanos: Option<i64>,
    pub budget_period: Option<String>,
    pub budget_since: Option<DateTime<Utc>>,
}

impl BudgetRow {
    /// The table's CHECKs let nothing in that is no budget.
    #[must_use]
    pub fn budget(&self) -> Option<Budget> {
        let (limit, period) = (Nanos(self.budget_nanos?), BudgetPeriod::parse(self.budget_period.as_deref()?)?);
        Some(Budget { limit, period, since: self.budget_since? })
    }
}

/// The sub-account of the period that is now, and when that period began; made when there is none. `None`: the key has no
/// budget any more, or is gone.
///
/// # Errors
/// As for every statement.
pub async fn open_budget(
    store: &Store,
    key: KeyId,
    now: DateTime<Utc>,
) -> Result<Option<(DateTime<Utc>, AccountId)>, StoreError> {
    let mut connection = store.get().await?;
    connection.transaction(async |connection| Ok(open(connection, key, now).await?)).await
}

/// Under the lock of the key's row: the limit can't change meanwhile, and of two who come first one makes the account.
async fn open(
    connection: &mut AsyncPgConnection,
    key: KeyId,
    now: DateTime<Utc>,
) -> QueryResult<Option<(DateTime<Utc>, AccountId)>> {
    let row: Option<(i64, BudgetRow)> = api_keys::table
        .find(key.0)
        .select((api_keys::user_id, BudgetRow::as_select()))
        .for_no_key_update()
        .get_result(connection)
        .await
        .optional()?;
    let Some((user, budget)) = row.and_then(|(user, row)| Some((user, row.budget()?))) else { return Ok(None) };
    let starts_at = budget.window(now).starts_at;
    let known = key_budgets::table.find((key.0, starts_at)).select(key_budgets::account_id);
    if let Some(account) = known.first(connection).await.optional()? {
        return Ok(Some((starts_at, AccountId(account))));
    }
    let account: i64 = diesel::insert_into(accounts::table)
        .values((
            accounts::kind.eq("budget"),
            accounts::asset.eq("usd"),
            accounts::user_id.eq(user),
            accounts::posted.eq(budget.limit.0),
            accounts::created_at.eq(now),
        ))
        .returning(accounts::id)
        .get_result(connection)
        .await?;
    diesel::insert_into(key_budgets::table)
        .values((
            key_budgets::api_key_id.eq(key.0),
            key_budgets::starts_at.eq(starts_at),
            key_budgets::account_id.eq(account),
            key_budgets::limit_nanos.eq(budget.limit.0),
        ))
        .execute(connection)
        .await?;
    Ok(Some((starts_at, AccountId(account))))
}

/// Another limit for the period that is now; what is spent of it stays spent. The caller has the lock of the key's row.
pub(crate) async fn change_limit(
    connection: &mut AsyncPgConnection,
    key: KeyId,
    budget: Budget,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    // A replica whose clock is ahead may have begun the next period with the old limit.
    diesel::sql_query(
        "WITH before AS (SELECT account_id, limit_nanos FROM key_budgets WHERE api_key_id = $1 AND starts_at >= $2),
         noted AS (UPDATE key_budgets b SET limit_nanos = $3 FROM before WHERE b.account_id = before.account_id)
         UPDATE accounts a SET posted = a.posted + $3 - before.limit_nanos FROM before WHERE a.id = before.account_id",
    )
    .bind::<BigInt, _>(key.0)
    .bind::<Timestamptz, _>(budget.window(now).starts_at)
    .bind::<BigInt, _>(budget.limit.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// What is left of a key's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct BudgetLeft {
    #[diesel(sql_type = BigInt)]
    pub api_key_id: i64,
    /// Which period it is of.
    #[diesel(sql_type = Timestamptz)]
    pub starts_at: DateTime<Utc>,
    /// The limit less what was charged; less than nothing when a call cost more than was held for it.
    #[diesel(sql_type = BigInt)]
    pub posted: i64,
    /// What calls under way have reserved of it.
    #[diesel(sql_type = BigInt)]
    pub held: i64,
}

/// The last period in which each of these keys was used under a budget.
///
/// # Errors
/// As for every statement.
pub async fn budgets_left(store: &Store, keys: &[KeyId]) -> Result<Vec<BudgetLeft>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let last = diesel::sql_query(
        "SELECT DISTINCT ON (b.api_key_id) b.api_key_id, b.starts_at, a.posted, a.held
         FROM key_budgets b JOIN accounts a ON a.id = b.account_id WHERE b.api_key_id = ANY ($1)
         ORDER BY b.api_key_id, b.starts_at DESC",
    )
    .bind::<Array<BigInt>, _>(keys.iter().map(|key| key.0).collect::<Vec<_>>());
    Ok(last.load(&mut store.get().await?).await?)
}
