//! `GET /admin/monitor`: the whole house at a glance, read from sums.

use crate::http::error::ApiError;
use crate::http::monitor::UsageMetrics;
use crate::http::principal::AdminPrincipal;
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Days, TimeDelta, Utc};
use serde::Serialize;
use tollgate_domain::Nanos;
use tollgate_store::activity::{Sum, Sums};
use tollgate_store::administration::{self, KeyUse, RecentCall, UseSum, UseTotal};
use tollgate_store::{StoreError, users};
use utoipa::ToSchema;

/// "This month", today included.
const DAYS: u64 = 30;
const TOP_USERS: i64 = 10;
const RECENT_CALLS: i64 = 20;

/// The whole house
#[derive(Serialize, ToSchema)]
pub struct AdminMonitorResponse {
    status: &'static str,
    timestamp: DateTime<Utc>,
    data: AdminMonitor,
}

/// The whole house, without accounts that were deleted. Dollars
#[derive(Serialize, ToSchema)]
pub struct AdminMonitor {
    total_users: i64,
    /// Keys with a call in the last 24 hours.
    active_users_today: i64,
    /// Of this UTC day.
    total_requests_today: i64,
    total_tokens_today: i64,
    #[schema(value_type = f64)]
    total_cost_today: Nanos,
    system_usage_metrics: UsageMetrics,
    /// The ten keys that used most tokens in all.
    top_users_by_usage: Vec<TopUser>,
    /// The last twenty calls, newest first.
    recent_activity: Vec<RecentActivity>,
}

/// A key and what it used
#[derive(Serialize, ToSchema)]
pub struct TopUser {
    /// Masked; `null` when the key is gone.
    #[schema(required)]
    api_key: Option<String>,
    user_id: i64,
    tokens_used: i64,
    #[schema(value_type = f64)]
    cost: Nanos,
    requests: i64,
}

/// A call
#[derive(Serialize, ToSchema)]
pub struct RecentActivity {
    /// Masked; `null` when the key is gone.
    #[schema(required)]
    api_key: Option<String>,
    user_id: i64,
    model: String,
    tokens_used: i64,
    timestamp: DateTime<Utc>,
}

/// The whole house at a glance
///
/// Read from sums by UTC day, at most a second old, never from history: "today" is this UTC day, "this month" this day and the 29
/// before it; only `active_users_today` looks back exactly 24 hours. `most_used_model` is of these 30 days.
#[utoipa::path(tag = "admin", security(("admin_key" = [])), responses(
    (status = 200, description = "The numbers", body = AdminMonitorResponse),
    (status = 401, description = "No admin key"),
    (status = 403, description = "Not an administrator"),
))]
#[get("/admin/monitor")]
pub async fn admin_monitor(
    services: web::Data<Services>,
    _admin: AdminPrincipal,
) -> Result<web::Json<AdminMonitorResponse>, ApiError> {
    let timestamp = services.clock.now();
    let data = read(&services, timestamp).await.map_err(failed)?;
    Ok(web::Json(AdminMonitorResponse { status: "success", timestamp, data }))
}

async fn read(services: &Services, now: DateTime<Utc>) -> Result<AdminMonitor, StoreError> {
    let (store, today) = (&services.store, now.date_naive());
    let first = today.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(today);
    // Read first: a call that lands between the two is in its day before it is in the whole, never the other way round.
    let total = administration::use_in_all(store, now - TimeDelta::days(1)).await?;
    let sums = sums(administration::use_since(store, first).await?);
    let day = sums.since(today);
    Ok(AdminMonitor {
        total_users: users::count(store).await?,
        active_users_today: total.active_keys,
        total_requests_today: day.requests,
        total_tokens_today: day.tokens,
        total_cost_today: Nanos(day.cost),
        system_usage_metrics: UsageMetrics::over(sum_of(&total), total.last_request_at, &sums, today, first),
        top_users_by_usage: administration::busiest_keys(store, TOP_USERS).await?.into_iter().map(TopUser::from).collect(),
        recent_activity: administration::recent_calls(store, RECENT_CALLS).await?.into_iter().map(RecentActivity::from).collect(),
    })
}

fn failed(error: StoreError) -> ApiError {
    match error {
        error @ StoreError::Unavailable(_) => error.into(),
        error => ApiError::internal(&error).with_message("Failed to retrieve monitoring data"),
    }
}

fn sums(parts: Vec<UseSum>) -> Sums {
    let mut sums = Sums::default();
    for UseSum { day, model, requests, tokens, cost } in parts {
        let sum = Sum { requests, tokens, cost };
        sums.days.extend(day.map(|day| (day, sum)));
        sums.models.extend(model.map(|model| (model, sum)));
    }
    sums
}

const fn sum_of(total: &UseTotal) -> Sum {
    Sum { requests: total.requests, tokens: total.tokens, cost: total.cost }
}

impl From<KeyUse> for TopUser {
    fn from(used: KeyUse) -> Self {
        let KeyUse { user_id, masked, requests, tokens, cost, .. } = used;
        Self { api_key: masked, user_id, tokens_used: tokens, cost: Nanos(cost), requests }
    }
}

impl From<RecentCall> for RecentActivity {
    fn from(call: RecentCall) -> Self {
        let RecentCall { user_id, masked, model, tokens, created_at } = call;
        Self { api_key: masked, user_id, model, tokens_used: tokens, timestamp: created_at }
    }
}
