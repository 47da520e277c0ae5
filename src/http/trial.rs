//! `GET /trial/status` and `GET /subscription/plans`: what a new user has, and what there is to go on with.

use super::error::ApiError;
use super::principal::scopes::Plans;
use super::principal::{May, Read, of_ledger};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tollgate_actors::identity::Trial;
use tollgate_domain::{Nanos, PricePerMillion};
use tollgate_store::plans::{self, PlanRow};
use utoipa::ToSchema;

/// How the trial stands
#[derive(Serialize, ToSchema)]
pub struct TrialStatusResponse {
    success: bool,
    trial_status: TrialStatus,
    message: &'static str,
}

/// A trial, or that there is none
#[derive(Serialize, ToSchema)]
pub struct TrialStatus {
    /// Calls are made on a trial, or were until its time was over.
    is_trial: bool,
    is_expired: bool,
    /// `trial`, `active`, `expired` or `cancelled`.
    subscription_status: String,
    trial_end_date: Option<DateTime<Utc>>,
    /// Whole days, not negative.
    days_remaining: Option<i64>,
    max_tokens: Option<i64>,
    tokens_remaining: Option<i64>,
    max_requests: Option<i64>,
    requests_remaining: Option<i64>,
    /// Dollars.
    #[schema(value_type = f64)]
    credits_remaining: Nanos,
}

/// How the trial stands
#[utoipa::path(tag = "user", responses(
    (status = 200, description = "The trial", body = TrialStatusResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read plans"),
))]
#[get("/trial/status")]
pub async fn trial_status(
    services: web::Data<Services>,
    caller: May<Read, Plans>,
) -> Result<web::Json<TrialStatusResponse>, ApiError> {
    let caller = &caller.0;
    let now = services.clock.now();
    let balance = services.actors.ledger.balance(caller.accounts).await.map_err(of_ledger)?;
    let trial = caller.trial.as_ref();
    let is_expired = trial.is_some_and(|trial| trial.is_over(now));
    let message = match (trial, is_expired) {
        (None, _) => "No trial",
        (Some(_), false) => "Trial is active",
        (Some(_), true) => "Trial has expired",
    };
    Ok(web::Json(TrialStatusResponse {
        success: true,
        trial_status: TrialStatus {
            is_trial: trial.is_some(),
            is_expired,
            subscription_status: caller.subscription_status.clone(),
            trial_end_date: trial.map(|trial| trial.expires_at),
            days_remaining: trial.map(|trial| (trial.expires_at - now).num_days().max(0)),
            max_tokens: trial.map(|trial| trial.tokens_max),
            tokens_remaining: trial.map(Trial::tokens_remaining),
            max_requests: trial.map(|trial| trial.requests_max),
            requests_remaining: trial.map(Trial::requests_remaining),
            credits_remaining: balance.available(),
        },
        message,
    }))
}

/// What there is to subscribe to
#[derive(Serialize, ToSchema)]
pub struct SubscriptionPlansResponse {
    success: bool,
    plans: Vec<SubscriptionPlan>,
    message: &'static str,
    trial_info: TrialInfo,
}

/// A plan
#[derive(Serialize, ToSchema)]
pub struct SubscriptionPlan {
    id: i64,
    plan_type: String,
    plan_name: String,
    description: String,
    /// Dollars.
    #[schema(value_type = f64)]
    monthly_price: Nanos,
    #[schema(value_type = Option<f64>)]
    yearly_price: Option<Nanos>,
    /// Dollars, of a pay-as-you-go plan.
    price_per_token: Option<String>,
    is_pay_as_you_go: bool,
    daily_request_limit: i64,
    monthly_request_limit: i64,
    daily_token_limit: i64,
    monthly_token_limit: i64,
    max_concurrent_requests: i64,
    #[schema(value_type = Vec<String>)]
    features: Value,
    /// New users are on it during their trial.
    trial_eligible: bool,
}

/// What a trial gives
#[derive(Serialize, ToSchema)]
pub struct TrialInfo {
    /// 0: there are no trials.
    trial_days: u32,
    trial_tokens: i64,
    trial_requests: i64,
    /// Dollars.
    #[schema(value_type = f64)]
    trial_credits: Nanos,
}

/// The plans to subscribe to
#[utoipa::path(tag = "plans", security(()), responses(
    (status = 200, description = "The plans and the trial", body = SubscriptionPlansResponse),
))]
#[get("/subscription/plans")]
pub async fn subscription_plans(services: web::Data<Services>) -> Result<web::Json<SubscriptionPlansResponse>, ApiError> {
    let (trial, money) = (services.settings.trial, &services.settings.money);
    let plans = plans::list(&services.store).await?;
    Ok(web::Json(SubscriptionPlansResponse {
        success: true,
        plans: plans.into_iter().map(|plan| SubscriptionPlan::of(plan, trial.days > 0)).collect(),
        message: "Subscription plans retrieved successfully",
        trial_info: TrialInfo {
            trial_days: trial.days,
            trial_tokens: trial.tokens,
            trial_requests: trial.requests,
            trial_credits: money.signup_credits,
        },
    }))
}

impl SubscriptionPlan {
    fn of(plan: PlanRow, has_trials: bool) -> Self {
        Self {
            id: plan.id,
            trial_eligible: has_trials && plan.plan_type == "free",
            plan_type: plan.plan_type,
            plan_name: plan.name,
            description: plan.description,
            monthly_price: Nanos(plan.price_per_month_nanos),
            yearly_price: plan.yearly_price_nanos.map(Nanos),
            price_per_token: plan.price_per_million_nanos.map(|nanos| PricePerMillion(nanos).to_usd_per_token()),
            is_pay_as_you_go: plan.is_pay_as_you_go,
            daily_request_limit: plan.daily_request_limit,
            monthly_request_limit: plan.monthly_request_limit,
            daily_token_limit: plan.daily_token_limit,
            monthly_token_limit: plan.monthly_token_limit,
            max_concurrent_requests: plan.max_concurrent_requests,
            features: plan.features,
        }
    }
}
