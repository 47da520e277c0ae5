//! `POST /v1/chat/sessions/{session_id}/messages`: what a client saves by itself. A completion with `session_id` saves its own.

use super::{ChatMessage, Event, fields, log, unknown_session};
use crate::http::error::ApiError;
use crate::http::extract::{Body, Path};
use crate::http::principal::scopes::Sessions;
use crate::http::principal::{May, Write};
use crate::startup::Services;
use actix_web::{post, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollgate_domain::SessionId;
use tollgate_store::activity::MESSAGE_SENT;
use tollgate_store::chat_sessions::{self, CONTENT_BYTES_MAX, NewMessage, Role, Writing};
use utoipa::ToSchema;

/// No model reads or writes so much at once.
const TOKENS_MAX: i64 = 1_000_000_000;

/// A message to be saved
#[derive(Deserialize, ToSchema)]
pub struct NewMessageRequest {
    /// `user` or `assistant`.
    #[schema(value_type = String)]
    role: Role,
    /// Up to 1 MiB.
    content: String,
    /// Empty: none.
    #[schema(max_length = 100)]
    model: Option<String>,
    /// Default 0.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    tokens: Option<i64>,
    /// When it was said, ISO 8601; without a zone UTC. Default now; what is later than now is now.
    created_at: Option<String>,
}

/// The message
#[derive(Serialize, ToSchema)]
pub struct MessageResponse {
    success: bool,
    data: ChatMessage,
    message: &'static str,
}

/// Save a message
///
/// At the end of the session, which moves to the top of the list with it.
#[utoipa::path(tag = "chat sessions", params(("session_id" = i64, Path)), request_body = NewMessageRequest, responses(
    (status = 200, description = "Saved", body = MessageResponse),
    (status = 400, description = "A wrong field"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not write sessions"),
    (status = 404, description = "No such session of this user"),
))]
#[post("/v1/chat/sessions/{session_id}/messages")]
pub async fn add_message(
    services: web::Data<Services>,
    caller: May<Write, Sessions>,
    Path(session): Path<i64>,
    Body(request): Body<NewMessageRequest>,
) -> Result<web::Json<MessageResponse>, ApiError> {
    let (user, session, now) = (caller.0.user, SessionId(session), services.clock.now());
    let model = fields::model(request.model.as_deref())?;
    let writing = Writing { user, session, now, at: fields::said_at(request.created_at.as_deref(), now)?, turn: None };
    let message = checked(&request, model.as_deref())?;
    let written = chat_sessions::append(&services.store, writing, &[message]).await?;
    let place = written.first().ok_or_else(unknown_session)?;
    let (role, tokens) = (message.role.as_str(), message.tokens);
    let more = json!({"message_id": place.id, "role": role, "tokens_used": tokens});
    log(&services, user, Event { action: MESSAGE_SENT, session, model: model.clone(), more });
    let data = ChatMessage {
        id: place.id,
        session_id: session.0,
        role: role.to_owned(),
        content: request.content,
        model,
        tokens,
        created_at: place.at,
    };
    Ok(web::Json(MessageResponse { success: true, data, message: "Message saved successfully" }))
}

fn checked<'a>(request: &'a NewMessageRequest, model: Option<&'a str>) -> Result<NewMessage<'a>, ApiError> {
    if request.content.len() > CONTENT_BYTES_MAX {
        return Err(fields::wrong("content", format!("String should have at most {CONTENT_BYTES_MAX} bytes")));
    }
    if request.content.contains('\0') {
        return Err(fields::wrong("content", "String should have no null characters"));
    }
    let tokens = request.tokens.unwrap_or(0);
    if !(0..=TOKENS_MAX).contains(&tokens) {
        return Err(fields::wrong("tokens", format!("Input should be from 0 to {TOKENS_MAX}")));
    }
    Ok(NewMessage { role: request.role, content: &request.content, model, tokens })
}
