//! A page of the history.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use tollgate_domain::{AccountId, UserId};
use uuid::Uuid;

/// Which rows to read, newest first.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    pub user: UserId,
    /// The user's account in dollars: rows of other accounts are not shown.
    pub account: AccountId,
    /// A `transaction_type`; `None` for all.
    pub kind: Option<&'a str>,
    pub limit: i64,
    pub offset: i64,
    /// Only what comes after it; costs the same on every page.
    pub after: Option<Position>,
}

/// A row's place in the history, newest first: time, slot, batch, whether it is a call, ordinal. No two rows share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub created_at: DateTime<Utc>,
    pub slot: i32,
    pub batch: i64,
    pub is_call: bool,
    pub ordinal: i32,
}

/// One row. Amounts in nano-dollars, signed: negative is spent.
#[derive(Clone, Debug, QueryableByName)]
pub struct Transaction {
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    #[diesel(sql_type = Integer)]
    pub slot: i32,
    #[diesel(sql_type = BigInt)]
    pub batch: i64,
    #[diesel(sql_type = Bool)]
    pub is_call: bool,
    #[diesel(sql_type = Integer)]
    pub ordinal: i32,
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

/// The rows of an account, each side with its own order and bound, so that an index answers the first pages.
/// $1 user, $2 account, $3 type or NULL, $4 limit, $5 offset, $6 to $10 the position before the page or NULLs.
const PAGE: &str = "
(SELECT t.created_at, t.slot, t.batch, false AS is_call, t.ordinal,
    CASE t.kind WHEN 'debt_repayment' THEN 'api_usage' ELSE t.kind END AS kind,
    CASE WHEN t.credit_account = $2 THEN t.amount ELSE -t.amount END AS amount,
    t.balance_after, t.reference, t.kind = 'debt_repayment' AS is_repayment, t.description,
    NULL::text AS model, NULL::text AS gateway, NULL::bigint AS api_key_id, NULL::bigint AS prompt_tokens,
    NULL::bigint AS completion_tokens, NULL::bigint AS cost, NULL::bigint AS debt
FROM transfers t
WHERE t.user_id = $1 AND t.kind <> 'api_usage' AND $2 IN (t.credit_account, t.debit_account)
    AND ($3 IS NULL OR $3 = CASE t.kind WHEN 'debt_repayment' THEN 'api_usage' ELSE t.kind END)
    AND t.created_at <= coalesce($6, 'infinity')
    AND ($6 IS NULL OR (t.created_at, t.slot, t.batch, false, t.ordinal) < ($6, $7, $8, $9, $10))
ORDER BY t.created_at DESC, t.slot DESC, t.batch DESC, t.ordinal DESC LIMIT $4 + $5)
UNION ALL
(SELECT u.created_at, u.slot, u.batch, true, u.ordinal, 'api_usage', coalesce(h.debt, 0) - u.cost, u.balance_after,
    u.hold_id, false, '', u.model, u.gateway, u.api_key_id, u.prompt_tokens, u.completion_tokens, u.cost,
    coalesce(h.debt, 0)
FROM usage_records u LEFT JOIN holds h ON h.id = u.hold_id
WHERE u.user_id = $1 AND coalesce(h.account_id, $2) = $2 AND ($3 IS NULL OR $3 = 'api_usage')
    AND u.created_at <= coalesce($6, 'infinity')
    AND ($6 IS NULL OR (u.created_at, u.slot, u.batch, true, u.ordinal) < ($6, $7, $8, $9, $10))
ORDER BY u.created_at DESC, u.slot DESC, u.batch DESC, u.ordinal DESC LIMIT $4 + $5)
ORDER BY created_at DESC, slot DESC, batch DESC, is_call DESC, ordinal DESC LIMIT $4 OFFSET $5";

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
        .bind::<BigInt, _>(page.offset)
        .bind::<Nullable<Timestamptz>, _>(page.after.map(|after| after.created_at))
        .bind::<Nullable<Integer>, _>(page.after.map(|after| after.slot))
        .bind::<Nullable<BigInt>, _>(page.after.map(|after| after.batch))
        .bind::<Nullable<Bool>, _>(page.after.map(|after| after.is_call))
        .bind::<Nullable<Integer>, _>(page.after.map(|after| after.ordinal));
    Ok(rows.load(&mut connection).await?)
}
