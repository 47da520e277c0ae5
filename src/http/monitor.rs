//! `GET /user/monitor`: the key's use, and what it may use.

use super::error::ApiError;
use super::principal::scopes::Usage;
use super::principal::{May, Read, of_ledger};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use serde::Serialize;
use tollgate_actors::identity::RateLimits;
use tollgate_domain::Nanos;
use tollgate_store::StoreError;
use tollgate_store::activity::{self, KeySum, Sum, Sums};
use utoipa::ToSchema;

/// The model that is called most is looked for in these days.
const DAYS: u64 = 365;

/// The key's use
#[derive(Serialize, ToSchema)]
pub struct MonitorResponse {
    status: &'static str,
    timestamp: DateTime<Utc>,
    user_id: i64,
    /// Masked.
    api_key: String,
    /// Dollars: the balance.
    #[schema(value_type = f64)]
    current_credits: Nanos,
    usage_metrics: UsageMetrics,
    rate_limits: RateLimitNumbers,
}

/// Model calls: all, of this UTC day, of this month. Dollars
#[derive(Serialize, ToSchema)]
pub struct UsageMetrics {
    total_requests: i64,
    total_tokens: i64,
    #[schema(value_type = f64)]
    total_cost: Nanos,
    requests_today: i64,
    tokens_today: i64,
    #[schema(value_type = f64)]
    cost_today: Nanos,
    requests_this_month: i64,
    tokens_this_month: i64,
    #[schema(value_type = f64)]
    cost_this_month: Nanos,
    average_tokens_per_request: f64,
    /// Of the last year; `No models used` when there was none.
    most_used_model: String,
    last_request_time: Option<DateTime<Utc>>,
}

/// What the key may use
#[derive(Serialize, ToSchema)]
pub struct RateLimitNumbers {
    requests_per_minute: i64,
    requests_per_hour: i64,
    requests_per_day: i64,
    tokens_per_minute: i64,
    tokens_per_hour: i64,
    tokens_per_day: i64,
}

/// The key's use
#[utoipa::path(tag = "user", responses(
    (status = 200, description = "The use", body = MonitorResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 503, description = "The database is away"),
))]
#[get("/user/monitor")]
pub async fn monitor(services: web::Data<Services>, caller: May<Read, Usage>) -> Result<web::Json<MonitorResponse>, ApiError> {
    let (caller, now) = (&caller.0, services.clock.now());
    let today = now.date_naive();
    let first = today.checked_sub_days(Days::new(DAYS)).unwrap_or(today);
    // Read first: a call that lands between the two is in its day before it is in the whole, never the other way round.
    let totals = activity::key_sums(&services.store, caller.user).await.map_err(failed)?;
    let sums = activity::sums(&services.store, caller.user, Some(caller.key), first, today).await.map_err(failed)?;
    let total = totals.into_iter().find(|sum| sum.api_key_id == caller.key.0);
    let balance = services.actors.ledger.balance(caller.accounts).await.map_err(of_ledger)?;
    Ok(web::Json(MonitorResponse {
        status: "success",
        timestamp: now,
        user_id: caller.user.0,
        api_key: caller.masked_key.clone(),
        current_credits: balance.credits,
        usage_metrics: usage_metrics(total.as_ref(), &sums, today),
        rate_limits: RateLimitNumbers::of(&caller.limits),
    }))
}

fn failed(error: StoreError) -> ApiError {
    match error {
        error @ StoreError::Unavailable(_) => error.into(),
        error => ApiError::internal(&error).with_message("Failed to retrieve usage data"),
    }
}

fn usage_metrics(total: Option<&KeySum>, sums: &Sums, today: NaiveDate) -> UsageMetrics {
    let all = total.map_or_else(Sum::default, |sum| Sum {
        requests: sum.requests,
        tokens: sum.prompt_tokens.saturating_add(sum.completion_tokens),
        cost: sum.cost,
    });
    UsageMetrics::over(all, total.map(|sum| sum.last_request_at), sums, today, today.with_day(1).unwrap_or(today))
}

impl UsageMetrics {
    /// `all` in all, and of `sums` those since `today` and since `month`, the month's first day.
    pub(super) fn over(
        all: Sum,
        last_request_time: Option<DateTime<Utc>>,
        sums: &Sums,
        today: NaiveDate,
        month: NaiveDate,
    ) -> Self {
        let (day, month) = (sums.since(today), sums.since(month));
        Self {
            total_requests: all.requests,
            total_tokens: all.tokens,
            total_cost: Nanos(all.cost),
            requests_today: day.requests,
            tokens_today: day.tokens,
            cost_today: Nanos(day.cost),
            requests_this_month: month.requests,
            tokens_this_month: month.tokens,
            cost_this_month: Nanos(month.cost),
            average_tokens_per_request: average(all.tokens, all.requests),
            most_used_model: most_used(&sums.models).unwrap_or("No models used").to_owned(),
            last_request_time,
        }
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "two decimals for a page")]
fn average(tokens: i64, requests: i64) -> f64 {
    if requests == 0 { 0.0 } else { (tokens as f64 / requests as f64 * 100.0).round() / 100.0 }
}

/// Of two models that are called as often, the first by name.
fn most_used(models: &[(String, Sum)]) -> Option<&str> {
    models.iter().rev().max_by_key(|(_, sum)| sum.requests).map(|(model, _)| model.as_str())
}

impl RateLimitNumbers {
    const fn of(limits: &RateLimits) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            requests_per_hour: limits.requests_per_hour,
            requests_per_day: limits.requests_per_day,
            tokens_per_minute: limits.tokens_per_minute,
            tokens_per_hour: limits.tokens_per_hour,
            tokens_per_day: limits.tokens_per_day,
        }
    }
}
