//! `GET /user/plan` and what is below it: the caller's plan, what is used of it, what it allows.
//!
//! Asking also ends a plan whose time is over; what a call may do follows the clock, whether or not anybody has asked.

use super::error::ApiError;
use super::extract::Query;
use super::plans::features;
use super::principal::scopes::Plans;
use super::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tollgate_actors::identity::{PlanLimits, WITHOUT_PLAN};
use tollgate_domain::Nanos;
use tollgate_store::plans::{self, PlanRow, PlanState, PlanUsage, UserPlanRow};
use utoipa::{IntoParams, ToSchema};

/// What is left to a user without a plan.
const FEATURES_WITHOUT_PLAN: [&str; 1] = ["basic_models"];

/// A plan's four limits
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct Limits {
    daily_request_limit: i64,
    monthly_request_limit: i64,
    daily_token_limit: i64,
    monthly_token_limit: i64,
}

/// The caller's plan
#[derive(Serialize, ToSchema)]
pub struct UserPlanResponse {
    user_plan_id: i64,
    user_id: i64,
    plan_id: i64,
    plan_name: String,
    plan_description: String,
    #[serde(flatten)]
    limits: Limits,
    /// Dollars.
    #[schema(value_type = f64)]
    price_per_month: Nanos,
    features: Vec<String>,
    start_date: DateTime<Utc>,
    /// `null`: without end.
    #[schema(required)]
    end_date: Option<DateTime<Utc>>,
    is_active: bool,
}

/// Counts of the UTC day and of the UTC calendar month
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct Windows<T> {
    daily_requests: T,
    daily_tokens: T,
    monthly_requests: T,
    monthly_tokens: T,
}

/// What is used of the caller's plan
#[derive(Serialize, ToSchema)]
pub struct PlanUsageResponse {
    plan_name: String,
    usage: Windows<i64>,
    limits: Limits,
    /// Never negative.
    remaining: Windows<i64>,
    at_limit: Windows<bool>,
}

/// What is asked about
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EntitlementsQuery {
    /// A feature's name; without it every plan can.
    #[param(example = "advanced_models")]
    feature: Option<String>,
}

/// What the caller's plan allows
#[derive(Serialize, ToSchema)]
pub struct PlanEntitlementsResponse {
    has_plan: bool,
    /// The plan's, `Expired`, or `Trial` for who has none.
    plan_name: String,
    #[serde(flatten)]
    limits: Limits,
    features: Vec<String>,
    can_access_feature: bool,
    #[schema(required)]
    plan_expires: Option<DateTime<Utc>>,
    /// `null` for who has no plan.
    #[schema(required)]
    plan_expired: Option<bool>,
}

/// The plan
#[utoipa::path(tag = "plans", responses(
    (status = 200, description = "The plan", body = UserPlanResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read plans"),
    (status = 404, description = "No active plan"),
))]
#[get("/user/plan")]
pub async fn user_plan(services: web::Data<Services>, caller: May<Read, Plans>) -> Result<web::Json<UserPlanResponse>, ApiError> {
    match current(&services, &caller).await? {
        PlanState::Active(row, plan) => Ok(web::Json(UserPlanResponse::of(row, *plan))),
        PlanState::Expired { .. } | PlanState::None => Err(ApiError::not_found("No active plan found")),
    }
}

/// What is used of the plan
///
/// Who has no plan, or an expired one, is shown what is left to them.
#[utoipa::path(tag = "plans", responses(
    (status = 200, description = "The usage", body = PlanUsageResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read plans"),
))]
#[get("/user/plan/usage")]
pub async fn plan_usage(
    services: web::Data<Services>,
    caller: May<Read, Plans>,
) -> Result<web::Json<PlanUsageResponse>, ApiError> {
    let (plan_name, limits) = match current(&services, &caller).await? {
        PlanState::Active(_, plan) => (plan.name.clone(), Limits::from(&*plan)),
        PlanState::Expired { .. } => ("Expired".to_owned(), WITHOUT_PLAN.into()),
        PlanState::None => ("Trial".to_owned(), WITHOUT_PLAN.into()),
    };
    let usage = plans::usage(&services.store, caller.0.user, services.clock.now().date_naive()).await?;
    Ok(web::Json(PlanUsageResponse::of(plan_name, limits, usage)))
}

/// What the plan allows
#[utoipa::path(tag = "plans", params(EntitlementsQuery), responses(
    (status = 200, description = "The entitlements", body = PlanEntitlementsResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read plans"),
))]
#[get("/user/plan/entitlements")]
pub async fn plan_entitlements(
    services: web::Data<Services>,
    caller: May<Read, Plans>,
    query: Query<EntitlementsQuery>,
) -> Result<web::Json<PlanEntitlementsResponse>, ApiError> {
    let feature = query.0.feature.as_deref().filter(|feature| !feature.is_empty());
    let state = current(&services, &caller).await?;
    Ok(web::Json(PlanEntitlementsResponse::of(&state, feature)))
}

async fn current(services: &Services, caller: &May<Read, Plans>) -> Result<PlanState, ApiError> {
    Ok(plans::current(&services.store, caller.0.user, services.clock.now()).await?)
}

impl UserPlanResponse {
    fn of(row: UserPlanRow, plan: PlanRow) -> Self {
        Self {
            user_plan_id: row.id,
            user_id: row.user_id,
            plan_id: row.plan_id,
            limits: Limits::from(&plan),
            price_per_month: Nanos(plan.price_per_month_nanos),
            features: features(&plan),
            plan_name: plan.name,
            plan_description: plan.description,
            start_date: row.start_date,
            end_date: row.end_date,
            is_active: true,
        }
    }
}

impl PlanUsageResponse {
    fn of(plan_name: String, limits: Limits, usage: PlanUsage) -> Self {
        let PlanUsage { daily_requests, daily_tokens, monthly_requests, monthly_tokens } = usage;
        let used = Windows { daily_requests, daily_tokens, monthly_requests, monthly_tokens };
        Self {
            plan_name,
            usage: used,
            limits,
            remaining: used.against(limits, |used, limit| limit.saturating_sub(used).max(0)),
            at_limit: used.against(limits, |used, limit| used >= limit),
        }
    }
}

impl Windows<i64> {
    fn against<T>(self, limits: Limits, compare: impl Fn(i64, i64) -> T) -> Windows<T> {
        Windows {
            daily_requests: compare(self.daily_requests, limits.daily_request_limit),
            daily_tokens: compare(self.daily_tokens, limits.daily_token_limit),
            monthly_requests: compare(self.monthly_requests, limits.monthly_request_limit),
            monthly_tokens: compare(self.monthly_tokens, limits.monthly_token_limit),
        }
    }
}

impl PlanEntitlementsResponse {
    fn of(state: &PlanState, feature: Option<&str>) -> Self {
        let without = || FEATURES_WITHOUT_PLAN.map(str::to_owned).to_vec();
        let (plan_name, limits, features) = match state {
            PlanState::Active(_, plan) => (plan.name.clone(), Limits::from(&**plan), features(plan)),
            PlanState::Expired { .. } => ("Expired".to_owned(), WITHOUT_PLAN.into(), without()),
            PlanState::None => ("Trial".to_owned(), WITHOUT_PLAN.into(), without()),
        };
        let (plan_expires, plan_expired) = match state {
            PlanState::Active(row, _) => (row.end_date, Some(false)),
            PlanState::Expired { ended_at } => (Some(*ended_at), Some(true)),
            PlanState::None => (None, None),
        };
        Self {
            has_plan: matches!(state, PlanState::Active(..)),
            plan_name,
            limits,
            can_access_feature: feature.is_none_or(|feature| features.iter().any(|name| name == feature)),
            features,
            plan_expires,
            plan_expired,
        }
    }
}

impl From<&PlanRow> for Limits {
    fn from(plan: &PlanRow) -> Self {
        Self {
            daily_request_limit: plan.daily_request_limit,
            monthly_request_limit: plan.monthly_request_limit,
            daily_token_limit: plan.daily_token_limit,
            monthly_token_limit: plan.monthly_token_limit,
        }
    }
}

impl From<PlanLimits> for Limits {
    fn from(limits: PlanLimits) -> Self {
        Self {
            daily_request_limit: limits.requests_per_day,
            monthly_request_limit: limits.requests_per_month,
            daily_token_limit: limits.tokens_per_day,
            monthly_token_limit: limits.tokens_per_month,
        }
    }
}
