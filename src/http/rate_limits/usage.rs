//! `GET /user/rate-limits/usage/{key_id}`.

use super::Amounts;
use super::limit::ResetTimes;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::principal::scopes::Limits;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tollgate_actors::limiter::WindowKind;
use tollgate_domain::KeyId;
use utoipa::{IntoParams, ToSchema};

/// Which window
#[derive(Deserialize, IntoParams)]
pub struct UsageQuery {
    #[serde(default)]
    time_window: TimeWindow,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TimeWindow {
    #[default]
    Minute,
    Hour,
    Day,
}

/// What a key has used
#[derive(Serialize, ToSchema)]
pub struct RateLimitUsageResponse {
    status: &'static str,
    key_id: i64,
    /// Masked.
    api_key: String,
    time_window: TimeWindow,
    usage: Amounts,
    limits: Amounts,
    remaining: Amounts,
    reset_time: DateTime<Utc>,
    timestamp: DateTime<Utc>,
}

/// What a key has used of a window
#[utoipa::path(tag = "rate limits", params(("key_id" = i64, Path), UsageQuery), responses(
    (status = 200, description = "The counts", body = RateLimitUsageResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 404, description = "No such key of this user"),
    (status = 422, description = "No such window"),
))]
#[get("/user/rate-limits/usage/{key_id}")]
pub async fn rate_limit_usage(
    services: web::Data<Services>,
    caller: May<Read, Limits>,
    Path(key_id): Path<i64>,
    Query(query): Query<UsageQuery>,
) -> Result<web::Json<RateLimitUsageResponse>, ApiError> {
    let user = caller.0.user;
    let keys = services.actors.identity.list_limits(user).await?;
    let found = keys.into_iter().find(|(key, _)| key.id == key_id);
    let (key, limits) = found.ok_or_else(|| ApiError::not_found("API key not found"))?;
    let used = services.actors.limiter.usage(user, KeyId(key_id)).await;
    let of = |requests, tokens| Amounts { requests, tokens };
    let (kind, limits, used) = match query.time_window {
        TimeWindow::Minute => {
            (WindowKind::Minute, of(limits.requests_per_minute, limits.tokens_per_minute), used.map(|used| used.minute))
        }
        TimeWindow::Hour => (WindowKind::Hour, of(limits.requests_per_hour, limits.tokens_per_hour), used.map(|used| used.hour)),
        TimeWindow::Day => (WindowKind::Day, of(limits.requests_per_day, limits.tokens_per_day), used.map(|used| used.day)),
    };
    let usage = Amounts::from(used.unwrap_or_default());
    let now = services.clock.now();
    Ok(web::Json(RateLimitUsageResponse {
        status: "success",
        key_id,
        api_key: key.masked,
        time_window: query.time_window,
        usage,
        limits,
        remaining: usage.left_of(limits),
        reset_time: ResetTimes::after(now).of(kind),
        timestamp: now,
    }))
}
