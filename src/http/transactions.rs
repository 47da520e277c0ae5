//! `GET /user/credit-transactions`: what moved the balance, and how.

use super::error::ApiError;
use super::extract::Query;
use super::paging::{parse_place, place, within, wrong_parameter};
use super::principal::scopes::Usage;
use super::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tollgate_domain::{GenerationId, HoldId, Nanos};
use tollgate_store::transactions::{self, API_USAGE, KindTotal, Page, Position, Transaction};
use utoipa::{IntoParams, ToSchema};

/// Every `transaction_type` there is.
const TYPES: [&str; 8] = ["trial", "purchase", "admin_credit", "admin_debit", API_USAGE, "refund", "bonus", "transfer"];

const LIMIT_DEFAULT: i64 = 50;
const LIMIT_MAX: i64 = 1_000;
/// Who goes further back does so with `before`, which costs the same on every page.
const OFFSET_MAX: i64 = 100_000;

/// Which rows
#[derive(Deserialize, IntoParams)]
pub struct TransactionsQuery {
    /// 1 to 1000, default 50.
    limit: Option<i64>,
    /// 0 to 100000.
    offset: Option<i64>,
    /// `trial`, `purchase`, `admin_credit`, `admin_debit`, `api_usage`, `refund`, `bonus` or `transfer`.
    transaction_type: Option<String>,
    /// The `next_before` of an earlier page: what comes after that page, whatever has happened since. Wins over `offset`.
    before: Option<String>,
}

/// A page of the history of the credits
#[derive(Serialize, ToSchema)]
pub struct TransactionsResponse {
    /// Newest first.
    transactions: Vec<TransactionRow>,
    /// Of all rows, not only of this page or type.
    summary: Summary,
    /// Rows of the asked type, over all pages.
    total: i64,
    limit: i64,
    offset: i64,
    has_more: bool,
    /// Where the next page begins; `null` on the last.
    next_before: Option<String>,
}

/// One movement
#[derive(Serialize, ToSchema)]
pub struct TransactionRow {
    id: String,
    /// Dollars; negative is spent.
    #[schema(value_type = f64)]
    amount: Nanos,
    transaction_type: String,
    description: String,
    #[schema(value_type = f64)]
    balance_before: Nanos,
    #[schema(value_type = f64)]
    balance_after: Nanos,
    created_at: DateTime<Utc>,
    payment_id: Option<String>,
    #[schema(value_type = Object)]
    metadata: Value,
}

/// All movements of the user
#[derive(Serialize, ToSchema)]
pub struct Summary {
    total_transactions: i64,
    #[schema(value_type = f64)]
    total_credits_added: Nanos,
    /// Not negative.
    #[schema(value_type = f64)]
    total_credits_used: Nanos,
    by_type: BTreeMap<String, TypeTotal>,
}

/// All movements of one type
#[derive(Serialize, ToSchema)]
pub struct TypeTotal {
    count: i64,
    #[schema(value_type = f64)]
    total_amount: Nanos,
}

/// The history of the credits
#[utoipa::path(tag = "user", params(TransactionsQuery), responses(
    (status = 200, description = "A page", body = TransactionsResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 422, description = "A wrong parameter"),
))]
#[get("/user/credit-transactions")]
pub async fn credit_transactions(
    services: web::Data<Services>,
    caller: May<Read, Usage>,
    Query(query): Query<TransactionsQuery>,
) -> Result<web::Json<TransactionsResponse>, ApiError> {
    let limit = within("limit", query.limit, LIMIT_DEFAULT, 1..=LIMIT_MAX)?;
    let offset = within("offset", query.offset, 0, 0..=OFFSET_MAX)?;
    let kind = query.transaction_type.as_deref().filter(|kind| !kind.is_empty()).map(known_type).transpose()?;
    let after = query.before.as_deref().filter(|text| !text.is_empty()).map(position).transpose()?;
    let offset = if after.is_some() { 0 } else { offset };
    let (user, account) = (caller.0.user, caller.0.accounts.credits);
    // One row more than is shown tells whether there are more.
    let page = Page { user, account, kind, limit: limit + 1, offset, after };
    let mut rows = transactions::page(&services.store, page).await?;
    let has_more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_before = rows.last().filter(|_| has_more).map(place_of);
    let totals = transactions::totals(&services.store, user, account).await?;
    let asked = totals.iter().filter(|total| kind.is_none_or(|kind| total.kind == kind));
    Ok(web::Json(TransactionsResponse {
        transactions: rows.into_iter().map(TransactionRow::from).collect(),
        total: asked.map(|total| total.count).sum(),
        summary: Summary::of(totals),
        limit,
        offset,
        has_more,
        next_before,
    }))
}

fn place_of(row: &Transaction) -> String {
    place(row.created_at, [row.slot.into(), row.batch, row.is_call.into(), row.ordinal.into()])
}

fn position(text: &str) -> Result<Position, ApiError> {
    let (created_at, [slot, batch, is_call, ordinal]) = parse_place("before", text)?;
    // What is no number of a row's comes after none.
    let [slot, ordinal] = [slot, ordinal].map(|number| i32::try_from(number).unwrap_or(0));
    Ok(Position { created_at, slot, batch, is_call: is_call != 0, ordinal })
}

fn known_type(kind: &str) -> Result<&'static str, ApiError> {
    let known = TYPES.into_iter().find(|known| *known == kind);
    known.ok_or_else(|| wrong_parameter("transaction_type", format!("Input should be one of {}", TYPES.join(", ")), Value::Null))
}

impl From<Transaction> for TransactionRow {
    fn from(row: Transaction) -> Self {
        let metadata = match &row.model {
            Some(model) => json!({
                "model": model,
                "gateway": row.gateway,
                "api_key_id": row.api_key_id,
                "prompt_tokens": row.prompt_tokens,
                "completion_tokens": row.completion_tokens,
                "cost": row.cost.map(Nanos),
                "debt": row.debt.map(Nanos),
            }),
            None => json!({}),
        };
        let (id, description) = match (&row.model, row.is_repayment) {
            (Some(model), _) => (GenerationId::of(HoldId(row.reference)).to_string(), format!("API usage: {model}")),
            (None, true) => (format!("{}-repayment", row.reference), "Repayment of usage above the balance".to_owned()),
            (None, false) => (row.reference.to_string(), row.description),
        };
        Self {
            id,
            amount: Nanos(row.amount),
            transaction_type: row.kind,
            description,
            balance_before: Nanos(row.balance_after.saturating_sub(row.amount)),
            balance_after: Nanos(row.balance_after),
            created_at: row.created_at,
            payment_id: None,
            metadata,
        }
    }
}

impl Summary {
    fn of(totals: Vec<KindTotal>) -> Self {
        let sum = |wanted: fn(i64) -> bool| totals.iter().map(|total| total.amount).filter(|amount| wanted(*amount)).sum::<i64>();
        let (added, used) = (sum(|amount| amount > 0), sum(|amount| amount < 0));
        Self {
            total_transactions: totals.iter().map(|total| total.count).sum(),
            total_credits_added: Nanos(added),
            total_credits_used: Nanos(used.saturating_neg()),
            by_type: totals
                .into_iter()
                .map(|total| (total.kind, TypeTotal { count: total.count, total_amount: Nanos(total.amount) }))
                .collect(),
        }
    }
}
