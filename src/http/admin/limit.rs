//! `POST /admin/limit`.

use super::{Target, not_found};
use crate::http::error::ApiError;
use crate::http::extract::Body;
use crate::http::principal::AdminPrincipal;
use crate::startup::Services;
use actix_web::{post, web};
use serde::{Deserialize, Serialize};
use tollgate_actors::identity::{LimitTarget, NewLimits, SetBy, SetLimits};
use utoipa::ToSchema;

/// More is no limit, and sums of windows must not overflow.
const LIMIT_MAX: i64 = 1_000_000_000_000;

/// Limits to set
#[derive(Deserialize, ToSchema)]
pub struct SetRateLimitRequest {
    /// The key. This or `user_id`.
    api_key: Option<String>,
    /// All keys that this user has now.
    user_id: Option<i64>,
    rate_limits: RateLimitConfig,
}

/// What a key may do
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct RateLimitConfig {
    requests_per_minute: i64,
    requests_per_hour: i64,
    requests_per_day: i64,
    tokens_per_minute: i64,
    tokens_per_hour: i64,
    tokens_per_day: i64,
    /// Requests in one burst; absent: as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    burst_limit: Option<i64>,
    /// Requests at the same time; absent: as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency_limit: Option<i64>,
}

impl Default for RateLimitConfig {
    /// The contract's (`contract.md` A.4).
    fn default() -> Self {
        Self {
            requests_per_minute: 60,
            requests_per_hour: 1_000,
            requests_per_day: 10_000,
            tokens_per_minute: 10_000,
            tokens_per_hour: 100_000,
            tokens_per_day: 1_000_000,
            burst_limit: None,
            concurrency_limit: None,
        }
    }
}

/// What was set
#[derive(Serialize, ToSchema)]
pub struct SetRateLimitResponse {
    status: &'static str,
    message: String,
    rate_limits: RateLimitConfig,
    /// How many keys have them now.
    keys_updated: usize,
}

/// Set the limits of a key, or of all keys of a user
#[utoipa::path(tag = "admin", security(("admin_key" = [])), request_body = SetRateLimitRequest, responses(
    (status = 200, description = "Set", body = SetRateLimitResponse),
    (status = 400, description = "A limit is negative or absurd"),
    (status = 401, description = "No admin key"),
    (status = 403, description = "Not an administrator"),
    (status = 404, description = "No such user"),
    (status = 422, description = "A wrong shape"),
))]
#[post("/admin/limit")]
pub async fn set_limit(
    services: web::Data<Services>,
    admin: AdminPrincipal,
    Body(body): Body<SetRateLimitRequest>,
) -> Result<web::Json<SetRateLimitResponse>, ApiError> {
    let limits = body.rate_limits;
    check(limits)?;
    let found = Target::find(&services, body.api_key.as_deref(), body.user_id).await?;
    let (target, shown) = match found.key {
        Some((key, masked)) => (LimitTarget::Keys { user: found.user, keys: vec![key] }, masked),
        None => (LimitTarget::AllKeysOf(found.user), found.user.to_string()),
    };
    let keys_updated = services
        .actors
        .identity
        .set_limits(SetLimits { target, limits: limits.into(), by: SetBy::Operator(admin.actor()) })
        .await
        .map_err(not_found)?;
    tracing::info!(admin = %admin.actor(), user = %found.user, keys_updated, "rate limits set");
    Ok(web::Json(SetRateLimitResponse {
        status: "success",
        message: format!("Rate limits updated for user {shown}"),
        rate_limits: limits,
        keys_updated,
    }))
}

fn check(limits: RateLimitConfig) -> Result<(), ApiError> {
    let six = [
        limits.requests_per_minute,
        limits.requests_per_hour,
        limits.requests_per_day,
        limits.tokens_per_minute,
        limits.tokens_per_hour,
        limits.tokens_per_day,
    ];
    let mut all = six.into_iter().chain(limits.burst_limit).chain(limits.concurrency_limit);
    if all.all(|limit| (0..=LIMIT_MAX).contains(&limit)) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("Rate limits must be from 0 to {LIMIT_MAX}")))
}

impl From<RateLimitConfig> for NewLimits {
    fn from(limits: RateLimitConfig) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            requests_per_hour: limits.requests_per_hour,
            requests_per_day: limits.requests_per_day,
            tokens_per_minute: limits.tokens_per_minute,
            tokens_per_hour: limits.tokens_per_hour,
            tokens_per_day: limits.tokens_per_day,
            burst: limits.burst_limit,
            concurrency: limits.concurrency_limit,
        }
    }
}
