//! `POST /v1/chat/sessions`.

use super::{ChatSession, Event, fields, log};
use crate::http::error::ApiError;
use crate::http::extract::Body;
use crate::http::principal::scopes::Sessions;
use crate::http::principal::{May, Write};
use crate::startup::Services;
use actix_web::{post, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollgate_domain::SessionId;
use tollgate_store::activity::SESSION_CREATED;
use tollgate_store::chat_sessions::{self, NewSession};
use utoipa::ToSchema;

const MODEL_DEFAULT: &str = "openai/gpt-3.5-turbo";

/// A session to be made, or what of one is to be changed
#[derive(Deserialize, ToSchema)]
pub struct SessionRequest {
    #[schema(max_length = 255)]
    pub(super) title: Option<String>,
    #[schema(max_length = 100)]
    pub(super) model: Option<String>,
}

/// A session
#[derive(Serialize, ToSchema)]
pub struct SessionResponse {
    success: bool,
    data: ChatSession,
    message: &'static str,
}

/// Begin a chat session
///
/// Without a title it is called after the time, without a model it is `openai/gpt-3.5-turbo`'s.
#[utoipa::path(tag = "chat sessions", request_body = SessionRequest, responses(
    (status = 200, description = "The session, without messages", body = SessionResponse),
    (status = 400, description = "A title or a model that is too long"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not write sessions"),
))]
#[post("/v1/chat/sessions")]
pub async fn create_session(
    services: web::Data<Services>,
    caller: May<Write, Sessions>,
    Body(request): Body<SessionRequest>,
) -> Result<web::Json<SessionResponse>, ApiError> {
    let (user, now) = (caller.0.user, services.clock.now());
    let title = fields::title(request.title.as_deref())?.unwrap_or_else(|| now.format("Chat %Y-%m-%d %H:%M").to_string());
    let model = fields::model(request.model.as_deref())?.unwrap_or_else(|| MODEL_DEFAULT.to_owned());
    let session = NewSession { user, title: &title, model: &model };
    let row = chat_sessions::create(&services.store, session, now).await?;
    let more = json!({"action": "create_session"});
    log(&services, user, Event { action: SESSION_CREATED, session: SessionId(row.id), model: Some(model), more });
    Ok(web::Json(SessionResponse {
        success: true,
        data: ChatSession::of(row, Vec::new()),
        message: "Chat session created successfully",
    }))
}
