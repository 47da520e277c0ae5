//! `DELETE /user/api-keys/{key_id}`.

use super::fields;
use crate::http::error::ApiError;
use crate::http::extract::{Path, parse};
use crate::http::limits::RawBody;
use crate::http::principal::scopes::ApiKeys;
use crate::http::principal::{May, Write};
use crate::startup::Services;
use actix_web::{delete, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tollgate_domain::KeyId;
use utoipa::ToSchema;

/// The confirmation
#[derive(Deserialize, ToSchema)]
pub struct DeleteApiKeyRequest {
    /// `DELETE_KEY` or `DELETE`. The whole body may be missing.
    #[serde(default = "confirmed")]
    confirmation: String,
}

fn confirmed() -> String {
    "DELETE".to_owned()
}

/// What was deleted
#[derive(Serialize, ToSchema)]
pub struct DeleteApiKeyResponse {
    status: &'static str,
    message: &'static str,
    deleted_key_id: i64,
    timestamp: DateTime<Utc>,
}

/// Delete a key
///
/// It is refused at once here, and within a second on every other replica; so is the secret before its last rotation.
#[utoipa::path(tag = "api keys", params(("key_id" = i64, Path)), request_body = Option<DeleteApiKeyRequest>, responses(
    (status = 200, description = "Deleted", body = DeleteApiKeyResponse),
    (status = 400, description = "Not confirmed"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not delete keys"),
    (status = 404, description = "No such key of this user"),
))]
#[delete("/user/api-keys/{key_id}")]
pub async fn delete_api_key(
    services: web::Data<Services>,
    caller: May<Write, ApiKeys>,
    Path(key_id): Path<i64>,
    body: RawBody,
) -> Result<web::Json<DeleteApiKeyResponse>, ApiError> {
    confirm(&body.0)?;
    let deleted = services.actors.identity.delete_key(caller.0.user, KeyId(key_id)).await;
    let deleted = deleted.map_err(|error| fields::refusal(error, ""))?;
    Ok(web::Json(DeleteApiKeyResponse {
        status: "success",
        message: "API key deleted successfully",
        deleted_key_id: deleted.id,
        timestamp: services.clock.now(),
    }))
}

/// No body is a confirmation, too: a client that sends none has said DELETE in the method.
fn confirm(body: &[u8]) -> Result<(), ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    let request: DeleteApiKeyRequest = parse(body)?;
    match request.confirmation.as_str() {
        "DELETE" | "DELETE_KEY" => Ok(()),
        _ => Err(ApiError::bad_request("Confirmation must be 'DELETE_KEY' to proceed with key deletion")),
    }
}
