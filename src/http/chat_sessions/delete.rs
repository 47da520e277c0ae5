//! `DELETE /v1/chat/sessions/{session_id}`.

use super::{Event, log, unknown_session};
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::principal::scopes::Sessions;
use crate::http::principal::{May, Write};
use crate::startup::Services;
use actix_web::{delete, web};
use serde::Serialize;
use serde_json::json;
use tollgate_domain::SessionId;
use tollgate_store::activity::SESSION_DELETED;
use tollgate_store::chat_sessions;
use utoipa::ToSchema;

/// It is done
#[derive(Serialize, ToSchema)]
pub struct SessionDeletedResponse {
    success: bool,
    message: &'static str,
}

/// Delete a chat session
///
/// No door shows it any more. What is said meanwhile by a call that is under way goes with it.
#[utoipa::path(tag = "chat sessions", params(("session_id" = i64, Path)), responses(
    (status = 200, description = "Deleted", body = SessionDeletedResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not write sessions"),
    (status = 404, description = "No such session of this user"),
))]
#[delete("/v1/chat/sessions/{session_id}")]
pub async fn delete_session(
    services: web::Data<Services>,
    caller: May<Write, Sessions>,
    Path(session): Path<i64>,
) -> Result<web::Json<SessionDeletedResponse>, ApiError> {
    let (user, session) = (caller.0.user, SessionId(session));
    if !chat_sessions::delete(&services.store, user, session, services.clock.now()).await? {
        return Err(unknown_session());
    }
    log(&services, user, Event { action: SESSION_DELETED, session, model: None, more: json!({}) });
    Ok(web::Json(SessionDeletedResponse { success: true, message: "Chat session deleted successfully" }))
}
