//! `POST /admin/add_credits`.

use super::{Target, not_found};
use crate::http::error::ApiError;
use crate::http::extract::Body;
use crate::http::principal::AdminPrincipal;
use crate::http::{dollars, text};
use crate::startup::Services;
use actix_web::{HttpRequest, post, web};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tollgate_actors::identity::AddCredits;
use tollgate_domain::{Nanos, OperationId};
use utoipa::ToSchema;
use uuid::Uuid;

/// In one go; a slip of the keyboard should not make a millionaire.
const CREDITS_MAX: Nanos = Nanos::from_whole_usd(1_000_000);

/// Credits to add
#[derive(Deserialize, ToSchema)]
pub struct AddCreditsRequest {
    /// A key of the user's. This or `user_id`.
    api_key: Option<String>,
    user_id: Option<i64>,
    /// Dollars, above 0.
    #[schema(value_type = f64, exclusive_minimum = 0, maximum = 1_000_000)]
    credits: serde_json::Number,
    /// Shown to the user in the history, which stays when the account is deleted: nothing personal.
    reason: Option<String>,
}

/// What the user has now
#[derive(Serialize, ToSchema)]
pub struct AddCreditsResponse {
    status: &'static str,
    message: String,
    #[schema(value_type = f64)]
    new_balance: Nanos,
    user_id: i64,
}

/// Add credits to a user
///
/// Ends the user's trial. With an `Idempotency-Key` header a repetition adds nothing.
#[utoipa::path(tag = "admin", security(("admin_key" = [])), request_body = AddCreditsRequest, responses(
    (status = 200, description = "Added", body = AddCreditsResponse),
    (status = 400, description = "Not positive"),
    (status = 401, description = "No admin key"),
    (status = 403, description = "Not an administrator"),
    (status = 404, description = "No such user"),
    (status = 409, description = "The Idempotency-Key was used for something else"),
    (status = 422, description = "A wrong shape"),
))]
#[post("/admin/add_credits")]
pub async fn add_credits(
    services: web::Data<Services>,
    admin: AdminPrincipal,
    request: HttpRequest,
    Body(body): Body<AddCreditsRequest>,
) -> Result<web::Json<AddCreditsResponse>, ApiError> {
    let amount = amount(&body.credits)?;
    let [reason] = text::all([text::short("reason", body.reason.as_deref().unwrap_or("Credits added by an administrator"))])?;
    let target = Target::find(&services, body.api_key.as_deref(), body.user_id).await?;
    let identity = &services.actors.identity;
    let (user, _) = identity.user(target.user).await.map_err(not_found)?;
    let add = AddCredits { id: operation_id(&request), by: admin.actor(), user: target.user, amount, reason };
    let balance = identity.add_credits(add).await.map_err(not_found)?;
    tracing::info!(admin = %admin.actor(), user = user.id, %amount, "credits added");
    Ok(web::Json(AddCreditsResponse {
        status: "success",
        message: format!("Added {amount} credits to user {}", user.username),
        new_balance: balance.credits,
        user_id: user.id,
    }))
}

fn amount(credits: &serde_json::Number) -> Result<Nanos, ApiError> {
    if credits.as_f64().is_some_and(|dollars| dollars <= 0.0) {
        return Err(ApiError::bad_request("Credits must be positive"));
    }
    let amount = dollars::parse(credits).map_err(|error| ApiError::bad_request(format!("Credits: {error}")))?;
    if amount > CREDITS_MAX {
        return Err(ApiError::bad_request(format!("Credits must be at most {CREDITS_MAX}")));
    }
    Ok(amount)
}

/// The same `Idempotency-Key` is the same operation; without one each request is its own.
fn operation_id(request: &HttpRequest) -> OperationId {
    let Some(key) = request.headers().get("idempotency-key") else { return OperationId(Uuid::now_v7()) };
    let digest = Sha256::new().chain_update("admin/add_credits\0").chain_update(key.as_bytes()).finalize();
    OperationId(Uuid::from_u128(digest.iter().take(16).fold(0, |id, byte| (id << 8) | u128::from(*byte))))
}
