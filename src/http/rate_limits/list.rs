//! `GET /user/rate-limits`.

use super::{Amounts, SixLimits};
use crate::http::error::ApiError;
use crate::http::principal::scopes::Limits;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tollgate_actors::identity::RateLimits;
use tollgate_actors::limiter::Usage;
use tollgate_domain::KeyId;
use tollgate_store::api_keys::KeyRow;
use utoipa::ToSchema;

/// The limits of all keys
#[derive(Serialize, ToSchema)]
pub struct UserRateLimitsResponse {
    status: &'static str,
    user_id: i64,
    /// Newest key first.
    rate_limit_configs: Vec<KeyLimits>,
    timestamp: DateTime<Utc>,
}

/// A key's limits
#[derive(Serialize, ToSchema)]
pub struct KeyLimits {
    key_id: i64,
    /// Masked.
    api_key: String,
    key_name: String,
    environment_tag: String,
    rate_limit_config: AllLimits,
    usage_stats: UsageStats,
    current_status: CurrentStatus,
}

/// What a key may do
#[derive(Serialize, ToSchema)]
pub struct AllLimits {
    #[serde(flatten)]
    six: SixLimits,
    burst_limit: i64,
    concurrency_limit: i64,
}

/// What is used of the windows
#[derive(Serialize, ToSchema)]
pub struct UsageStats {
    minute: Amounts,
    hour: Amounts,
    day: Amounts,
}

/// What is left of the windows
#[derive(Serialize, ToSchema)]
pub struct CurrentStatus {
    requests_remaining_minute: i64,
    requests_remaining_hour: i64,
    requests_remaining_day: i64,
    tokens_remaining_minute: i64,
    tokens_remaining_hour: i64,
    tokens_remaining_day: i64,
}

/// The limits of the user's keys
#[utoipa::path(tag = "rate limits", responses(
    (status = 200, description = "The limits", body = UserRateLimitsResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read keys"),
))]
#[get("/user/rate-limits")]
pub async fn user_rate_limits(
    services: web::Data<Services>,
    caller: May<Read, Limits>,
) -> Result<web::Json<UserRateLimitsResponse>, ApiError> {
    let user = caller.0.user;
    let mut configs = Vec::new();
    for (key, limits) in services.actors.identity.list_limits(user).await? {
        let usage = services.actors.limiter.usage(user, KeyId(key.id)).await;
        configs.push(KeyLimits::of(key, limits, usage));
    }
    Ok(web::Json(UserRateLimitsResponse {
        status: "success",
        user_id: user.0,
        rate_limit_configs: configs,
        timestamp: services.clock.now(),
    }))
}

impl KeyLimits {
    fn of(key: KeyRow, limits: RateLimits, usage: Option<Usage>) -> Self {
        let used = UsageStats::of(usage);
        Self {
            key_id: key.id,
            api_key: key.masked,
            key_name: key.key_name,
            environment_tag: key.environment_tag,
            current_status: CurrentStatus::of(&limits, &used),
            usage_stats: used,
            rate_limit_config: AllLimits { six: limits.into(), burst_limit: limits.burst, concurrency_limit: limits.concurrency },
        }
    }
}

impl UsageStats {
    fn of(usage: Option<Usage>) -> Self {
        let [minute, hour, day] = usage.map(|usage| [usage.minute, usage.hour, usage.day]).unwrap_or_default();
        Self { minute: minute.into(), hour: hour.into(), day: day.into() }
    }
}

impl CurrentStatus {
    fn of(limits: &RateLimits, used: &UsageStats) -> Self {
        let left = |used: Amounts, requests, tokens| used.left_of(Amounts { requests, tokens });
        let minute = left(used.minute, limits.requests_per_minute, limits.tokens_per_minute);
        let hour = left(used.hour, limits.requests_per_hour, limits.tokens_per_hour);
        let day = left(used.day, limits.requests_per_day, limits.tokens_per_day);
        Self {
            requests_remaining_minute: minute.requests,
            requests_remaining_hour: hour.requests,
            requests_remaining_day: day.requests,
            tokens_remaining_minute: minute.tokens,
            tokens_remaining_hour: hour.tokens,
            tokens_remaining_day: day.tokens,
        }
    }
}
