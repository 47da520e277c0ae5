//! `GET /admin/trial/analytics`.

use crate::http::error::ApiError;
use crate::http::principal::AdminPrincipal;
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tollgate_store::trials::{self, Trials};
use utoipa::ToSchema;

/// How trials go
#[derive(Serialize, ToSchema)]
pub struct TrialAnalyticsResponse {
    success: bool,
    analytics: TrialAnalytics,
    timestamp: DateTime<Utc>,
}

/// Users by what became of their trial
#[derive(Serialize, ToSchema)]
pub struct TrialAnalytics {
    /// Users in all.
    total_users: i64,
    /// Under way.
    active_trials: i64,
    /// Their time is over, and they have not paid.
    expired_trials: i64,
    /// Customers: who paid, was given credits or has a plan. Also who never had a trial.
    converted_users: i64,
    /// Per cent of the users whose trial is over one way or the other, in hundredths; null when there are none.
    conversion_rate: Option<f64>,
    /// End within 24 hours.
    ending_soon: i64,
    /// By trials under way.
    tokens_used: i64,
    requests_used: i64,
    /// New users of the last seven days.
    new_users_7d: i64,
}

/// How trials go
#[utoipa::path(tag = "admin", security(("admin_key" = [])), responses(
    (status = 200, description = "The counts", body = TrialAnalyticsResponse),
    (status = 401, description = "No admin key"),
    (status = 403, description = "Not an administrator"),
))]
#[get("/admin/trial/analytics")]
pub async fn trial_analytics(
    services: web::Data<Services>,
    _admin: AdminPrincipal,
) -> Result<web::Json<TrialAnalyticsResponse>, ApiError> {
    let now = services.clock.now();
    let analytics = trials::count(&services.store, now).await?.into();
    Ok(web::Json(TrialAnalyticsResponse { success: true, analytics, timestamp: now }))
}

impl From<Trials> for TrialAnalytics {
    fn from(trials: Trials) -> Self {
        let over = trials.expired.saturating_add(trials.converted);
        let hundredths = trials.converted.saturating_mul(10_000).checked_div(over);
        Self {
            total_users: trials.users,
            active_trials: trials.active,
            expired_trials: trials.expired,
            converted_users: trials.converted,
            conversion_rate: hundredths.and_then(|rate| i32::try_from(rate).ok()).map(|rate| f64::from(rate) / 100.0),
            ending_soon: trials.ending_soon,
            tokens_used: trials.tokens,
            requests_used: trials.requests,
            new_users_7d: trials.new_users,
        }
    }
}
