//! `DELETE /user/account`: the end of an account.

use super::error::ApiError;
use super::extract::Body;
use super::principal::scopes::Account;
use super::principal::{May, Write};
use crate::startup::Services;
use actix_web::{delete, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tollgate_actors::identity::{Actor, DeleteAccount};
use tollgate_domain::Nanos;
use utoipa::ToSchema;

const CONFIRMATION: &str = "DELETE_ACCOUNT";

/// The confirmation
#[derive(Deserialize, ToSchema)]
pub struct DeleteAccountRequest {
    /// `DELETE_ACCOUNT`.
    #[schema(example = "DELETE_ACCOUNT")]
    confirmation: String,
}

/// What was deleted
#[derive(Serialize, ToSchema)]
pub struct DeleteAccountResponse {
    status: &'static str,
    message: &'static str,
    user_id: i64,
    /// Dollars that were left: nobody can spend them any more.
    #[schema(value_type = f64)]
    forfeited_credits: Nanos,
    timestamp: DateTime<Utc>,
}

/// Delete the account
///
/// Deletes the user with everything that belongs to them, in one step that cannot be undone: profile, keys, limits, plan, chat
/// sessions, activity, stored answers. All keys are refused at once here and within a second on every other replica.
///
/// The ledger's history is kept, because books may not be changed: amounts, models and times under the account's number, which is
/// given to nobody again, and nothing personal. So are the audit rows, without their details. Calls that are under way end and are
/// charged; what they write afterwards is erased within minutes. **Credits that are left are forfeited**: ask for a refund before.
/// The name and the address may be registered again, as another account.
#[utoipa::path(tag = "user", request_body = DeleteAccountRequest, responses(
    (status = 200, description = "Deleted", body = DeleteAccountResponse),
    (status = 400, description = "Not confirmed"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not write the account"),
    (status = 422, description = "A wrong shape"),
    (status = 503, description = "The database is away; nothing was deleted"),
))]
#[delete("/user/account")]
pub async fn delete_account(
    services: web::Data<Services>,
    caller: May<Write, Account>,
    Body(request): Body<DeleteAccountRequest>,
) -> Result<web::Json<DeleteAccountResponse>, ApiError> {
    if request.confirmation != CONFIRMATION {
        return Err(ApiError::bad_request("Confirmation must be 'DELETE_ACCOUNT' to proceed with account deletion"));
    }
    let user = caller.0.user;
    let deleted = services.actors.identity.delete_account(DeleteAccount { by: Actor::Owner, user }).await?;
    tracing::info!(%user, "account deleted");
    Ok(web::Json(DeleteAccountResponse {
        status: "success",
        message: "User account deleted successfully",
        user_id: user.0,
        forfeited_credits: deleted.forfeited,
        timestamp: services.clock.now(),
    }))
}
