//! `GET /user/limit`.

use super::SixLimits;
use crate::http::error::ApiError;
use crate::http::principal::scopes::Limits;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::borrow::Cow;
use tollgate_actors::limiter::{Measure, Refusal, Scope, WindowKind};
use utoipa::ToSchema;

/// The key's limits and how it stands
#[derive(Serialize, ToSchema)]
pub struct UserLimitResponse {
    status: &'static str,
    /// Masked.
    api_key: String,
    current_limits: SixLimits,
    current_usage: CurrentUsage,
    reset_times: ResetTimes,
}

/// Would a call be let through?
#[derive(Serialize, ToSchema)]
pub struct CurrentUsage {
    allowed: bool,
    reason: Cow<'static, str>,
}

/// When the windows end
#[derive(Serialize, ToSchema)]
pub struct ResetTimes {
    minute: DateTime<Utc>,
    hour: DateTime<Utc>,
    day: DateTime<Utc>,
}

impl ResetTimes {
    pub(super) fn after(now: DateTime<Utc>) -> Self {
        let end = |kind: WindowKind| DateTime::from_timestamp(kind.around(now.timestamp()).1, 0).unwrap_or_default();
        Self { minute: end(WindowKind::Minute), hour: end(WindowKind::Hour), day: end(WindowKind::Day) }
    }

    pub(super) const fn of(&self, kind: WindowKind) -> DateTime<Utc> {
        match kind {
            WindowKind::Minute => self.minute,
            WindowKind::Hour => self.hour,
            WindowKind::Day | WindowKind::Month => self.day,
        }
    }
}

/// The key's limits
#[utoipa::path(tag = "rate limits", responses(
    (status = 200, description = "The limits", body = UserLimitResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
))]
#[get("/user/limit")]
pub async fn user_limit(
    services: web::Data<Services>,
    caller: May<Read, Limits>,
) -> Result<web::Json<UserLimitResponse>, ApiError> {
    let caller = &caller.0;
    let refusal = services.actors.limiter.would_refuse(caller).await;
    Ok(web::Json(UserLimitResponse {
        status: "success",
        api_key: caller.masked_key.clone(),
        current_limits: caller.limits.into(),
        current_usage: CurrentUsage::of(refusal, caller.has_own_limits),
        reset_times: ResetTimes::after(services.clock.now()),
    }))
}

impl CurrentUsage {
    fn of(refusal: Option<Refusal>, has_own_limits: bool) -> Self {
        if let Some(refusal) = refusal {
            return Self { allowed: false, reason: reason(&refusal).into() };
        }
        let reason = if has_own_limits { "Within rate limits" } else { "No rate limits configured" };
        Self { allowed: true, reason: reason.into() }
    }
}

/// The contract has words of its own for windows (`contract.md` A.3); for all else a call's are good.
fn reason(refusal: &Refusal) -> String {
    let Refusal::Window { scope, kind, measure, limit, .. } = refusal else { return refusal.to_string() };
    let window = match kind {
        WindowKind::Minute => "minute",
        WindowKind::Hour => "hour",
        WindowKind::Day => "day",
        WindowKind::Month => "month",
    };
    let over = if *scope == Scope::User { " over all keys" } else { "" };
    match measure {
        Measure::Requests => format!("Rate limit exceeded: {limit} requests per {window}{over}"),
        Measure::Tokens => format!("Token limit exceeded: {limit} tokens per {window}{over}"),
    }
}
