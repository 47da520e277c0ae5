//! `GET /plans` and `GET /plans/{plan_id}`: what there is to choose from.

use super::error::ApiError;
use super::extract::Path;
use crate::startup::Services;
use actix_web::{get, web};
use serde::Serialize;
use serde_json::Value;
use tollgate_domain::{Nanos, PlanId};
use tollgate_store::plans::{self, PlanRow};
use utoipa::ToSchema;

/// A plan has a price for a million tokens; clients want that of one.
const TOKENS_PER_UNIT: i64 = 1_000_000;

/// A plan. Dollars
#[derive(Serialize, ToSchema)]
pub struct PlanResponse {
    id: i64,
    name: String,
    description: String,
    /// `free`, `dev`, `team` or `customize`.
    plan_type: String,
    daily_request_limit: i64,
    monthly_request_limit: i64,
    daily_token_limit: i64,
    monthly_token_limit: i64,
    #[schema(value_type = f64)]
    price_per_month: Nanos,
    #[schema(required, value_type = Option<f64>)]
    yearly_price: Option<Nanos>,
    /// Of a pay-as-you-go plan.
    #[schema(required, value_type = Option<f64>)]
    price_per_token: Option<Nanos>,
    is_pay_as_you_go: bool,
    max_concurrent_requests: i64,
    features: Vec<String>,
    is_active: bool,
}

impl From<PlanRow> for PlanResponse {
    fn from(plan: PlanRow) -> Self {
        Self {
            features: features(&plan),
            id: plan.id,
            name: plan.name,
            description: plan.description,
            plan_type: plan.plan_type,
            daily_request_limit: plan.daily_request_limit,
            monthly_request_limit: plan.monthly_request_limit,
            daily_token_limit: plan.daily_token_limit,
            monthly_token_limit: plan.monthly_token_limit,
            price_per_month: Nanos(plan.price_per_month_nanos),
            yearly_price: plan.yearly_price_nanos.map(Nanos),
            price_per_token: plan.price_per_million_nanos.map(|price| Nanos(price / TOKENS_PER_UNIT)),
            is_pay_as_you_go: plan.is_pay_as_you_go,
            max_concurrent_requests: plan.max_concurrent_requests,
            is_active: plan.is_active,
        }
    }
}

/// The names of a plan's features; an operator's object stands for its keys.
pub(super) fn features(plan: &PlanRow) -> Vec<String> {
    match &plan.features {
        Value::Array(names) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::Object(fields) => fields.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// All plans
#[utoipa::path(tag = "plans", security(()), responses((status = 200, description = "In their order", body = [PlanResponse])))]
#[get("/plans")]
pub async fn list_plans(services: web::Data<Services>) -> Result<web::Json<Vec<PlanResponse>>, ApiError> {
    let plans = plans::list(&services.store).await?;
    Ok(web::Json(plans.into_iter().map(PlanResponse::from).collect()))
}

/// One plan
#[utoipa::path(
    tag = "plans",
    security(()),
    params(("plan_id" = i64, Path, description = "The plan's id")),
    responses(
        (status = 200, description = "The plan", body = PlanResponse),
        (status = 404, description = "No such plan"),
        (status = 422, description = "No number"),
    )
)]
#[get("/plans/{plan_id}")]
pub async fn find_plan(services: web::Data<Services>, plan: Path<i64>) -> Result<web::Json<PlanResponse>, ApiError> {
    let plan = plans::find(&services.store, PlanId(plan.0)).await?;
    Ok(web::Json(plan.ok_or_else(|| ApiError::not_found("Plan not found"))?.into()))
}
