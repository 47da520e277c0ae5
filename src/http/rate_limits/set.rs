//! `PUT /user/rate-limits/{key_id}` and `POST /user/rate-limits/bulk-update`: owners lower their keys' limits, and raise them
//! again, but not above what an operator gave the key, or the settings where nobody gave anything.

use super::SixLimits;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Path};
use crate::http::principal::scopes::Limits;
use crate::http::principal::{May, Write};
use crate::startup::Services;
use actix_web::{post, put, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tollgate_actors::identity::{IdentityError, LimitTarget, SetBy, SetLimits};
use tollgate_domain::KeyId;
use utoipa::ToSchema;

/// Keys of one request.
const KEYS_MAX: usize = 1_000;

/// Limits for several keys
#[derive(Deserialize, ToSchema)]
pub struct BulkUpdateRequest {
    #[serde(flatten)]
    limits: SixLimits,
    /// Absent: all keys of the user.
    key_ids: Option<Vec<i64>>,
}

/// What was set
#[derive(Serialize, ToSchema)]
pub struct UpdateRateLimitsResponse {
    status: &'static str,
    message: String,
    rate_limits: SixLimits,
    keys_updated: usize,
    timestamp: DateTime<Utc>,
}

/// Set a key's limits
#[utoipa::path(tag = "rate limits", params(("key_id" = i64, Path)), request_body = SixLimits, responses(
    (status = 200, description = "Set; the key is bound by them at once", body = UpdateRateLimitsResponse),
    (status = 400, description = "Negative, or above what the key was given"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not change keys"),
    (status = 404, description = "No such key of this user"),
    (status = 422, description = "A limit is missing"),
))]
#[put("/user/rate-limits/{key_id}")]
pub async fn update_rate_limits(
    services: web::Data<Services>,
    caller: May<Write, Limits>,
    Path(key_id): Path<i64>,
    Body(limits): Body<SixLimits>,
) -> Result<web::Json<UpdateRateLimitsResponse>, ApiError> {
    let target = LimitTarget::Keys { user: caller.0.user, keys: vec![KeyId(key_id)] };
    set(&services, target, limits).await
}

/// Set several keys' limits
///
/// All of them or, if one may not have them, none.
#[utoipa::path(tag = "rate limits", request_body = BulkUpdateRequest, responses(
    (status = 200, description = "Set; the keys are bound by them at once", body = UpdateRateLimitsResponse),
    (status = 400, description = "Negative, or above what a key was given"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not change keys"),
    (status = 404, description = "A key that this user does not have"),
    (status = 422, description = "A limit is missing"),
))]
#[post("/user/rate-limits/bulk-update")]
pub async fn bulk_update_rate_limits(
    services: web::Data<Services>,
    caller: May<Write, Limits>,
    Body(body): Body<BulkUpdateRequest>,
) -> Result<web::Json<UpdateRateLimitsResponse>, ApiError> {
    let user = caller.0.user;
    let target = match body.key_ids {
        None => LimitTarget::AllKeysOf(user),
        Some(ids) if (1..=KEYS_MAX).contains(&ids.len()) => {
            let keys: std::collections::BTreeSet<KeyId> = ids.into_iter().map(KeyId).collect();
            LimitTarget::Keys { user, keys: keys.into_iter().collect() }
        }
        Some(_) => return Err(ApiError::bad_request(format!("key_ids must be 1 to {KEYS_MAX} keys"))),
    };
    set(&services, target, body.limits).await
}

async fn set(
    services: &Services,
    target: LimitTarget,
    limits: SixLimits,
) -> Result<web::Json<UpdateRateLimitsResponse>, ApiError> {
    limits.check()?;
    let set = SetLimits { target, limits: limits.into(), by: SetBy::Owner };
    let keys_updated = services.actors.identity.set_limits(set).await.map_err(|error| match error {
        IdentityError::UnknownKey => ApiError::not_found("API key not found"),
        error => error.into(),
    })?;
    Ok(web::Json(UpdateRateLimitsResponse {
        status: "success",
        message: format!("Rate limits updated for {keys_updated} keys"),
        rate_limits: limits,
        keys_updated,
        timestamp: services.clock.now(),
    }))
}
