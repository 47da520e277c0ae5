//! `PUT /v1/chat/sessions/{session_id}`.

use super::create::SessionRequest;
use super::one::{SessionPageResponse, newest};
use super::{Event, fields, log, unknown_session};
use crate::http::error::ApiError;
use crate::http::extract::{Body, Path};
use crate::http::principal::scopes::Sessions;
use crate::http::principal::{May, Write};
use crate::startup::Services;
use actix_web::{put, web};
use serde_json::json;
use tollgate_domain::SessionId;
use tollgate_store::activity::SESSION_UPDATED;
use tollgate_store::chat_sessions;

/// Change a chat session
///
/// What is absent or empty stays as it is. Answers with the session as GET does.
#[utoipa::path(tag = "chat sessions", params(("session_id" = i64, Path)), request_body = SessionRequest, responses(
    (status = 200, description = "The session", body = SessionPageResponse),
    (status = 400, description = "A title or a model that is too long"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not write sessions"),
    (status = 404, description = "No such session of this user"),
))]
#[put("/v1/chat/sessions/{session_id}")]
pub async fn update_session(
    services: web::Data<Services>,
    caller: May<Write, Sessions>,
    Path(session): Path<i64>,
    Body(request): Body<SessionRequest>,
) -> Result<web::Json<SessionPageResponse>, ApiError> {
    let (user, session, store) = (caller.0.user, SessionId(session), &services.store);
    let (title, model) = (fields::title(request.title.as_deref())?, fields::model(request.model.as_deref())?);
    let row = match (&title, &model) {
        (None, None) => chat_sessions::find(store, user, session).await?,
        _ => chat_sessions::change(store, user, session, title.as_deref(), model.as_deref(), services.clock.now()).await?,
    };
    let row = row.ok_or_else(unknown_session)?;
    let changed = [title.map(|_| "title"), model.map(|_| "model")];
    let more = json!({"changed": changed.into_iter().flatten().collect::<Vec<_>>()});
    log(&services, user, Event { action: SESSION_UPDATED, session, model: Some(row.model.clone()), more });
    Ok(web::Json(SessionPageResponse::read(store, row, newest(), "Chat session updated successfully").await?))
}
