//! `GET /user/balance`.

use super::error::ApiError;
use super::principal::scopes::Usage;
use super::principal::{May, Read, of_ledger};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tollgate_actors::identity::Trial;
use tollgate_domain::Nanos;
use utoipa::ToSchema;

/// What the user has. Dollars
#[derive(Serialize, ToSchema)]
pub struct BalanceResponse {
    /// Masked.
    api_key: String,
    /// Settled.
    #[schema(value_type = f64)]
    credits: Nanos,
    /// Reserved by calls that run.
    #[schema(value_type = f64)]
    held: Nanos,
    /// What a new call may reserve: credits without what is held.
    #[schema(value_type = f64)]
    available: Nanos,
    /// Left owing by calls that cost more than there was; the next credit pays it.
    #[schema(value_type = f64)]
    debt: Nanos,
    /// `active`, `trial`, `expired` or `cancelled`.
    status: String,
    user_id: i64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    trial: Option<TrialState>,
}

/// What is left of a trial
#[derive(Serialize, ToSchema)]
pub struct TrialState {
    tokens_remaining: i64,
    requests_remaining: i64,
    trial_end_date: DateTime<Utc>,
}

impl TrialState {
    fn of(trial: &Trial) -> Self {
        Self {
            tokens_remaining: trial.tokens_remaining(),
            requests_remaining: trial.requests_remaining(),
            trial_end_date: trial.expires_at,
        }
    }
}

/// The balance
#[utoipa::path(tag = "user", responses(
    (status = 200, description = "The balance", body = BalanceResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
))]
#[get("/user/balance")]
pub async fn balance(services: web::Data<Services>, caller: May<Read, Usage>) -> Result<web::Json<BalanceResponse>, ApiError> {
    let caller = &caller.0;
    let balance = services.actors.ledger.balance(caller.accounts).await.map_err(of_ledger)?;
    Ok(web::Json(BalanceResponse {
        api_key: caller.masked_key.clone(),
        credits: balance.credits,
        held: balance.held,
        available: balance.available(),
        debt: balance.debt,
        status: caller.subscription_status.clone(),
        user_id: caller.user.0,
        trial: caller.trial.as_ref().map(TrialState::of),
    }))
}
