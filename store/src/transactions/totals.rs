//! The totals of an account: what is folded, and what came since. One statement, so one moment of the books.

use super::API_USAGE;
use crate::users::DollarAccounts;
use crate::{Store, StoreError};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use tollgate_domain::{AccountId, UserId};

/// All rows of one type: how many, and their signed sum in nano-dollars.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct KindTotal {
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = BigInt)]
    pub count: i64,
    #[diesel(sql_type = BigInt)]
    pub amount: i64,
}

/// $1 user, $2 account. The time only helps to find what is not folded; whether it is, the link says. A batch is written with
/// the time at which it was decided, and is committed soon after: within this minute, or it is counted at the next fold.
const TOTALS: &str = "
SELECT kind, sum(count)::bigint AS count, sum(amount)::bigint AS amount FROM (
    SELECT kind, count, amount FROM transaction_totals WHERE account_id = $2
    UNION ALL
    SELECT m.kind, 1, m.amount FROM account_movements m LEFT JOIN transaction_folds f ON f.slot = m.slot
    WHERE m.user_id = $1 AND m.account_id = $2 AND m.batch > coalesce(f.batch, 0)
        AND m.created_at >= (SELECT coalesce(min(folded_at), 'epoch') - interval '1 minute' FROM transaction_folds)
) AS both_parts GROUP BY kind";

/// The totals of all the account's rows, by type.
///
/// # Errors
/// As for every statement.
pub async fn totals(store: &Store, user: UserId, account: AccountId) -> Result<Vec<KindTotal>, StoreError> {
    let mut connection = store.get().await?;
    let totals = diesel::sql_query(format!("{TOTALS} ORDER BY kind")).bind::<BigInt, _>(user.0).bind::<BigInt, _>(account.0);
    Ok(totals.load(&mut connection).await?)
}

/// What came into an account and what calls took, in nano-dollars, with the balances at the same moment:
/// `granted - used = posted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct CreditSums {
    #[diesel(sql_type = BigInt)]
    pub granted: i64,
    /// Without what is owed.
    #[diesel(sql_type = BigInt)]
    pub used: i64,
    #[diesel(sql_type = BigInt)]
    pub posted: i64,
    /// Not negative.
    #[diesel(sql_type = BigInt)]
    pub owed: i64,
}

/// The sums of a user's dollars.
///
/// # Errors
/// As for every statement.
pub async fn credits(store: &Store, user: UserId, accounts: DollarAccounts) -> Result<CreditSums, StoreError> {
    let mut connection = store.get().await?;
    let sums = diesel::sql_query(format!(
        "SELECT coalesce(sum(t.amount) FILTER (WHERE t.kind <> '{API_USAGE}'), 0)::bigint AS granted,
             -coalesce(sum(t.amount) FILTER (WHERE t.kind = '{API_USAGE}'), 0)::bigint AS used,
             (SELECT posted FROM accounts WHERE id = $2) AS posted, (SELECT -posted FROM accounts WHERE id = $3) AS owed
         FROM ({TOTALS}) t"
    ))
    .bind::<BigInt, _>(user.0)
    .bind::<BigInt, _>(accounts.credits.0)
    .bind::<BigInt, _>(accounts.debt.0);
    Ok(sums.get_result(&mut connection).await?)
}
