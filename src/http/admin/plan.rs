//! `POST /admin/assign-plan`.

use super::not_found;
use crate::http::error::ApiError;
use crate::http::extract::Body;
use crate::http::principal::AdminPrincipal;
use crate::startup::Services;
use actix_web::{post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tollgate_actors::identity::AssignPlan;
use tollgate_domain::{PlanId, UserId};
use utoipa::ToSchema;

const MONTHS_MAX: u16 = 120;

/// A plan for a user
#[derive(Deserialize, ToSchema)]
pub struct AssignPlanRequest {
    user_id: i64,
    plan_id: i64,
    /// Months of 30 days, 1 to 120.
    #[serde(default = "one_month")]
    #[schema(default = 1)]
    duration_months: i64,
}

const fn one_month() -> i64 {
    1
}

/// What was assigned
#[derive(Serialize, ToSchema)]
pub struct AssignPlanResponse {
    status: &'static str,
    message: String,
    user_id: i64,
    plan_id: i64,
    duration_months: u16,
    timestamp: DateTime<Utc>,
}

/// Put a user on a plan
///
/// In place of the plan before; ends the user's trial.
#[utoipa::path(tag = "admin", security(("admin_key" = [])), request_body = AssignPlanRequest, responses(
    (status = 200, description = "Assigned", body = AssignPlanResponse),
    (status = 400, description = "No such plan, or an absurd duration"),
    (status = 401, description = "No admin key"),
    (status = 403, description = "Not an administrator"),
    (status = 404, description = "No such user"),
    (status = 422, description = "A wrong shape"),
))]
#[post("/admin/assign-plan")]
pub async fn assign_plan(
    services: web::Data<Services>,
    admin: AdminPrincipal,
    Body(body): Body<AssignPlanRequest>,
) -> Result<web::Json<AssignPlanResponse>, ApiError> {
    let months = months(body.duration_months)?;
    let assign = AssignPlan { by: admin.actor(), user: UserId(body.user_id), plan: PlanId(body.plan_id), months };
    let plan_name = services.actors.identity.assign_plan(assign).await.map_err(not_found)?;
    tracing::info!(admin = %admin.actor(), user = body.user_id, plan = body.plan_id, months, "plan assigned");
    Ok(web::Json(AssignPlanResponse {
        status: "success",
        message: format!("Plan {plan_name} assigned to user {} for {months} months", body.user_id),
        user_id: body.user_id,
        plan_id: body.plan_id,
        duration_months: months,
        timestamp: services.clock.now(),
    }))
}

fn months(given: i64) -> Result<u16, ApiError> {
    let months = u16::try_from(given).ok().filter(|months| (1..=MONTHS_MAX).contains(months));
    months.ok_or_else(|| ApiError::bad_request(format!("Duration must be from 1 to {MONTHS_MAX} months")))
}
