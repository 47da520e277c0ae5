//! `GET /v1/key`: the key that asks, in OpenRouter's shape.

use super::api_keys::BudgetUse;
use super::error::ApiError;
use super::principal::scopes::Usage;
use super::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use serde::Serialize;
use tollgate_domain::Nanos;
use tollgate_store::activity;
use utoipa::ToSchema;

/// The key that asks
#[derive(Serialize, ToSchema)]
pub struct KeyResponse {
    data: KeyData,
}

/// A key. Dollars
#[derive(Serialize, ToSchema)]
pub struct KeyData {
    /// Masked.
    label: String,
    name: String,
    /// The key's own budget; `null`: it has none.
    #[schema(value_type = Option<f64>)]
    limit: Option<Nanos>,
    /// Not below 0. Calls under way are not in it.
    #[schema(value_type = Option<f64>)]
    limit_remaining: Option<Nanos>,
    /// `daily`, `weekly` or `monthly`; `null` when the budget is never full again.
    limit_reset: Option<&'static str>,
    include_byok_in_limit: bool,
    /// What its calls cost, all of them. A call is in it within a second.
    #[schema(value_type = f64)]
    usage: Nanos,
    /// Of this UTC day, the week from Monday, the month.
    #[schema(value_type = f64)]
    usage_daily: Nanos,
    #[schema(value_type = f64)]
    usage_weekly: Nanos,
    #[schema(value_type = f64)]
    usage_monthly: Nanos,
    #[schema(value_type = f64)]
    byok_usage: Nanos,
    #[schema(value_type = f64)]
    byok_usage_daily: Nanos,
    #[schema(value_type = f64)]
    byok_usage_weekly: Nanos,
    #[schema(value_type = f64)]
    byok_usage_monthly: Nanos,
    /// Its user has not paid yet.
    is_free_tier: bool,
    is_management_key: bool,
    is_provisioning_key: bool,
    creator_user_id: String,
    expires_at: Option<DateTime<Utc>>,
    /// Its cap on the number of calls, and what is left of it.
    max_requests: Option<i64>,
    requests_remaining: Option<i64>,
    rate_limit: KeyRateLimit,
}

/// How often the key may call
#[derive(Serialize, ToSchema)]
pub struct KeyRateLimit {
    requests: i64,
    interval: &'static str,
    note: &'static str,
}

/// The key that asks
#[utoipa::path(tag = "account", responses(
    (status = 200, description = "The key", body = KeyResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 503, description = "The database is away"),
))]
#[get("/v1/key")]
pub async fn current_key(services: web::Data<Services>, caller: May<Read, Usage>) -> Result<web::Json<KeyResponse>, ApiError> {
    let caller = &caller.0;
    let today = services.clock.now().date_naive();
    let (week, month) = (week_of(today), today.with_day(1).unwrap_or(today));
    // Read first: a call that lands between the two is in its day before it is in the whole, never the other way round.
    let totals = activity::key_sums(&services.store, caller.user).await?;
    let sums = activity::sums(&services.store, caller.user, Some(caller.key), week.min(month), today).await?;
    let usage = totals.iter().find(|sum| sum.api_key_id == caller.key.0).map_or(0, |sum| sum.cost);
    let budget = match &caller.budget {
        Some(budget) => Some(BudgetUse::of(&services, caller.key, budget).await?),
        None => None,
    };
    let since = |first: NaiveDate| Nanos(sums.since(first).cost);
    Ok(web::Json(KeyResponse {
        data: KeyData {
            label: caller.masked_key.clone(),
            name: caller.key_name.clone(),
            limit: budget.map(|budget| budget.limit_usd),
            limit_remaining: budget.map(|budget| budget.limit_usd.saturating_sub(budget.spent_usd).max(Nanos::ZERO)),
            limit_reset: budget.filter(|budget| budget.resets_at.is_some()).map(|budget| budget.period),
            include_byok_in_limit: false,
            usage: Nanos(usage),
            usage_daily: since(today),
            usage_weekly: since(week),
            usage_monthly: since(month),
            byok_usage: Nanos::ZERO,
            byok_usage_daily: Nanos::ZERO,
            byok_usage_weekly: Nanos::ZERO,
            byok_usage_monthly: Nanos::ZERO,
            is_free_tier: caller.trial.is_some(),
            is_management_key: false,
            is_provisioning_key: false,
            creator_user_id: caller.user.to_string(),
            expires_at: caller.expires_at,
            max_requests: caller.max_requests,
            requests_remaining: caller.max_requests.map(|most| most.saturating_sub(caller.requests_used()).max(0)),
            rate_limit: KeyRateLimit {
                requests: caller.limits.requests_per_minute,
                interval: "1m",
                note: "Beside it there are limits by hour and day, and of tokens",
            },
        },
    }))
}

/// Monday.
fn week_of(day: NaiveDate) -> NaiveDate {
    day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday() {
        let day = |of_month| NaiveDate::from_ymd_opt(2026, 3, of_month).unwrap();
        assert_eq!([day(2), day(4), day(8)].map(week_of), [day(2); 3]);
        assert_eq!(week_of(day(1)), NaiveDate::from_ymd_opt(2026, 2, 23).unwrap());
    }
}
