//! What a user sees of the history of their credits: `transfers` and `usage_records`, read together.
//!
//! A call is one row (its usage record), whatever it cost; everything else is a row of `transfers`. What a call cost
//! beyond the balance stands in the debt account; the credit that pays it later shows a repayment beside. So the
//! amounts of all rows add up to the balance.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use tollgate_domain::{AccountId, UserId};
use uuid::Uuid;

/// The type under which calls, and repayments of what calls left owing, are shown.
pub const API_USAGE: &str = "api_usage";

/// Which rows to read.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    pub user: UserId,
    /// The user's account in dollars: rows of other accounts are not shown.
    pub account: AccountId,
    /// A `transaction_type`; `None` for all.
    pub kind: Option<&'a str>,
    pub limit: i64,
    pub offset: i64,
}

/// One row. Amounts in nano-dollars, signed: negative is spent.
#[derive(Clone, Debug, QueryableByName)]
pub struct Transaction {
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = BigInt)]
    pub amount: i64,
    #[diesel(sql_type = BigInt)]
    pub balance_after: i64,
    /// The call's hold, or the operation that moved the money.
    #[diesel(sql_type = SqlUuid)]
    pub reference: Uuid,
    /// A repayment of debt has its credit's reference, too.
    #[diesel(sql_type = Bool)]
    pub is_repayment: bool,
    #[diesel(sql_type = Text)]
    pub description: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub model: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub gateway: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub api_key_id: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub prompt_tokens: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub completion_tokens: Option<i64>,
    /// What the call cost, and how much of it was left owing.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub cost: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub debt: Option<i64>,
}

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

/// The rows of an account, each side with its own order and bound, so that an index answers the first pages.
/// $1 user, $2 account, $3 type or NULL, $4 limit, $5 offset.
const PAGE: &str = "
(SELECT t.created_at, t.slot, t.batch, t.ordinal,
    CASE t.kind WHEN 'debt_repayment' THEN 'api_usage' ELSE t.kind END AS kind,
    CASE WHEN t.credit_account = $2 THEN t.amount ELSE -t.amount END AS amount,
    t.balance_after, t.reference, t.kind = 'debt_repayment' AS is_repayment, t.description,
    NULL::text AS model, NULL::text AS gateway, NULL::bigint AS api_key_id, NULL::bigint AS prompt_tokens,
    NULL::bigint AS completion_tokens, NULL::bigint AS cost, NULL::bigint AS debt
FROM transfers t
WHERE t.user_id = $1 AND t.kind <> 'api_usage' AND $2 IN (t.credit_account, t.debit_account)
    AND ($3 IS NULL OR $3 = CASE t.kind WHEN 'debt_repayment' THEN 'api_usage' ELSE t.kind END)
ORDER BY t.created_at DESC, t.slot DESC, t.batch DESC, t.ordinal DESC LIMIT $4 + $5)
UNION ALL
(SELECT u.created_at, u.slot, u.batch, u.ordinal, 'api_usage', coalesce(h.debt, 0) - u.cost, u.balance_after,
    u.hold_id, false, '', u.model, u.gateway, u.api_key_id, u.prompt_tokens, u.completion_tokens, u.cost,
    coalesce(h.debt, 0)
FROM usage_records u LEFT JOIN holds h ON h.id = u.hold_id
WHERE u.user_id = $1 AND coalesce(h.account_id, $2) = $2 AND ($3 IS NULL OR $3 = 'api_usage')
ORDER BY u.created_at DESC, u.slot DESC, u.batch DESC, u.ordinal DESC LIMIT $4 + $5)
ORDER BY created_at DESC, slot DESC, batch DESC, is_repayment DESC, ordinal DESC LIMIT $4 OFFSET $5";

/// $1 user, $2 account.
const TOTALS: &str = "
SELECT kind, sum(n)::bigint AS count, sum(amount)::bigint AS amount FROM (
    SELECT CASE t.kind WHEN 'debt_repayment' THEN 'api_usage' ELSE t.kind END AS kind, count(*) AS n,
        sum(CASE WHEN t.credit_account = $2 THEN t.amount ELSE -t.amount END) AS amount
    FROM transfers t
    WHERE t.user_id = $1 AND t.kind <> 'api_usage' AND $2 IN (t.credit_account, t.debit_account)
    GROUP BY 1
    UNION ALL
    SELECT 'api_usage', count(*), coalesce(sum(coalesce(h.debt, 0) - u.cost), 0)
    FROM usage_records u LEFT JOIN holds h ON h.id = u.hold_id
    WHERE u.user_id = $1 AND coalesce(h.account_id, $2) = $2
) AS both_tables GROUP BY kind HAVING sum(n) > 0 ORDER BY kind";

/// The rows of a page, newest first.
///
/// # Errors
/// As for every statement.
pub async fn page(store: &Store, page: Page<'_>) -> Result<Vec<Transaction>, StoreError> {
    let mut connection = store.get().await?;
    let rows = diesel::sql_query(PAGE)
        .bind::<BigInt, _>(page.user.0)
        .bind::<BigInt, _>(page.account.0)
        .bind::<Nullable<Text>, _>(page.kind)
        .bind::<BigInt, _>(page.limit)
        .bind::<BigInt, _>(page.offset);
    Ok(rows.load(&mut connection).await?)
}

/// The totals of all the account's rows, by type.
///
/// # Errors
/// As for every statement.
pub async fn totals(store: &Store, user: UserId, account: AccountId) -> Result<Vec<KindTotal>, StoreError> {
    let mut connection = store.get().await?;
    let totals = diesel::sql_query(TOTALS).bind::<BigInt, _>(user.0).bind::<BigInt, _>(account.0);
    Ok(totals.load(&mut connection).await?)
}
