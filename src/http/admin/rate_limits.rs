//! `GET /admin/rate-limits/system` and `GET /admin/rate-limits/alerts`.

use super::not_found;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::principal::AdminPrincipal;
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollgate_actors::identity::RateLimits;
use tollgate_actors::limiter::WindowKind;
use tollgate_store::limit_counters::{self, SystemUse};
use tollgate_store::rate_limit_alerts::{self, AlertRow};
use utoipa::{IntoParams, ToSchema};

const ALERTS_DEFAULT: i64 = 100;
const ALERTS_MAX: i64 = 1_000;

/// All keys together
#[derive(Serialize, ToSchema)]
pub struct SystemRateLimitsResponse {
    status: &'static str,
    minute: SystemWindow,
    hour: SystemWindow,
    day: SystemWindow,
    /// Not resolved.
    open_alerts: i64,
    /// Of keys without limits of their own.
    #[schema(value_type = Object)]
    default_limits: RateLimits,
    timestamp: DateTime<Utc>,
}

/// What all keys have used of a window
#[derive(Serialize, ToSchema)]
pub struct SystemWindow {
    requests: i64,
    tokens: i64,
    active_keys: i64,
}

impl From<SystemUse> for SystemWindow {
    fn from(used: SystemUse) -> Self {
        Self { requests: used.requests, tokens: used.tokens.max(0), active_keys: used.active_keys }
    }
}

/// What all keys use
///
/// At most a second old.
#[utoipa::path(tag = "admin", security(("admin_key" = [])), responses(
    (status = 200, description = "The counts", body = SystemRateLimitsResponse),
    (status = 401, description = "No admin key"),
    (status = 403, description = "Not an administrator"),
))]
#[get("/admin/rate-limits/system")]
pub async fn system_rate_limits(
    services: web::Data<Services>,
    _admin: AdminPrincipal,
) -> Result<web::Json<SystemRateLimitsResponse>, ApiError> {
    let now = services.clock.now();
    let start = |kind: WindowKind| DateTime::from_timestamp(kind.around(now.timestamp()).0, 0).unwrap_or(now);
    let starts = [start(WindowKind::Minute), start(WindowKind::Hour), start(WindowKind::Day)];
    let [minute, hour, day] = limit_counters::system_use(&services.store, starts).await?;
    Ok(web::Json(SystemRateLimitsResponse {
        status: "success",
        minute: minute.into(),
        hour: hour.into(),
        day: day.into(),
        open_alerts: rate_limit_alerts::open(&services.store).await?,
        default_limits: services.actors.identity.options().default_limits,
        timestamp: now,
    }))
}

/// Which alerts
#[derive(Deserialize, IntoParams)]
pub struct AlertsQuery {
    /// Of this key only, given in full.
    api_key: Option<String>,
    #[serde(default)]
    resolved: bool,
    /// 1 to 1000, default 100.
    limit: Option<i64>,
}

/// Refusals
#[derive(Serialize, ToSchema)]
pub struct AlertsResponse {
    status: &'static str,
    total_alerts: usize,
    /// Newest first.
    alerts: Vec<Alert>,
    timestamp: DateTime<Utc>,
}

/// A key that was refused: one alert for each kind of limit and window
#[derive(Serialize, ToSchema)]
pub struct Alert {
    id: i64,
    user_id: i64,
    key_id: i64,
    /// Masked; null when the key is gone.
    api_key: Option<String>,
    alert_type: String,
    #[schema(value_type = Object)]
    details: Value,
    created_at: DateTime<Utc>,
    resolved: bool,
    resolved_at: Option<DateTime<Utc>>,
    resolved_by: Option<String>,
}

impl From<AlertRow> for Alert {
    fn from(row: AlertRow) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            key_id: row.api_key_id,
            api_key: row.masked,
            alert_type: row.alert_type,
            details: row.details,
            created_at: row.created_at,
            resolved: row.resolved,
            resolved_at: row.resolved_at,
            resolved_by: row.resolved_by,
        }
    }
}

/// Who was refused by a limit
#[utoipa::path(tag = "admin", security(("admin_key" = [])), params(AlertsQuery), responses(
    (status = 200, description = "The alerts", body = AlertsResponse),
    (status = 400, description = "An absurd limit"),
    (status = 401, description = "No admin key"),
    (status = 403, description = "Not an administrator"),
    (status = 404, description = "No such key"),
    (status = 422, description = "A wrong parameter"),
))]
#[get("/admin/rate-limits/alerts")]
pub async fn list_rate_limit_alerts(
    services: web::Data<Services>,
    _admin: AdminPrincipal,
    Query(query): Query<AlertsQuery>,
) -> Result<web::Json<AlertsResponse>, ApiError> {
    let limit = query.limit.unwrap_or(ALERTS_DEFAULT);
    if !(1..=ALERTS_MAX).contains(&limit) {
        return Err(ApiError::bad_request(format!("limit must be from 1 to {ALERTS_MAX}")));
    }
    let key = match query.api_key.as_deref().filter(|key| !key.is_empty()) {
        Some(key) => Some(services.actors.identity.find_key(key).await.map_err(not_found)?.key),
        None => None,
    };
    let rows = rate_limit_alerts::list(&services.store, key, query.resolved, limit).await?;
    let alerts: Vec<Alert> = rows.into_iter().map(Alert::from).collect();
    Ok(web::Json(AlertsResponse { status: "success", total_alerts: alerts.len(), alerts, timestamp: services.clock.now() }))
}
