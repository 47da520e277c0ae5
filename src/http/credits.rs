//! `GET /v1/credits`: what came in and what calls took, in OpenRouter's shape.

use super::error::ApiError;
use super::principal::scopes::Usage;
use super::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use serde::Serialize;
use tollgate_domain::Nanos;
use tollgate_store::transactions;
use tollgate_store::users::DollarAccounts;
use utoipa::ToSchema;

/// The credits
#[derive(Serialize, ToSchema)]
pub struct CreditsResponse {
    data: CreditsData,
}

/// The user's credits. Dollars; the difference is the balance without what is owed
#[derive(Serialize, ToSchema)]
pub struct CreditsData {
    #[schema(value_type = f64)]
    total_credits: Nanos,
    #[schema(value_type = f64)]
    total_usage: Nanos,
}

/// The credits
#[utoipa::path(tag = "account", responses(
    (status = 200, description = "The credits", body = CreditsResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 503, description = "The database is away"),
))]
#[get("/v1/credits")]
pub async fn credits(services: web::Data<Services>, caller: May<Read, Usage>) -> Result<web::Json<CreditsResponse>, ApiError> {
    let accounts = caller.0.accounts;
    let dollars = DollarAccounts { credits: accounts.credits, debt: accounts.debt };
    let sums = transactions::credits(&services.store, caller.0.user, dollars).await?;
    let total_usage = Nanos(sums.used.saturating_add(sums.owed));
    Ok(web::Json(CreditsResponse { data: CreditsData { total_credits: Nanos(sums.granted), total_usage } }))
}
