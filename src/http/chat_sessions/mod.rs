//! Chat sessions and their messages (`contract.md` A.6). Whose they are is told by the key; a `privy_user_id` in the query, which
//! some clients send, is not read.

mod create;
mod delete;
mod fields;
mod list;
mod messages;
mod one;
mod search;
mod stats;
mod update;

pub use create::create_session;
pub use delete::delete_session;
pub use list::list_sessions;
pub use messages::add_message;
pub use one::one_session;
pub use search::search_sessions;
pub use stats::session_stats;
pub use update::update_session;

use crate::http::error::ApiError;
use crate::startup::Services;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use tollgate_domain::{SessionId, UserId};
use tollgate_store::activity::ActivityRow;
use tollgate_store::chat_sessions::{MessageRow, SessionRow};
use utoipa::ToSchema;

/// A chat session
#[derive(Serialize, ToSchema)]
pub struct ChatSession {
    id: i64,
    user_id: i64,
    title: String,
    /// What it talks to by its client's wish; calls say their own.
    model: String,
    created_at: DateTime<Utc>,
    /// Of the last message or change.
    updated_at: DateTime<Utc>,
    is_active: bool,
    /// Oldest first. In lists: empty.
    messages: Vec<ChatMessage>,
}

/// A message of a chat session
#[derive(Serialize, ToSchema)]
pub struct ChatMessage {
    id: i64,
    session_id: i64,
    /// `user` or `assistant`.
    role: String,
    content: String,
    model: Option<String>,
    tokens: i64,
    created_at: DateTime<Utc>,
}

impl ChatSession {
    fn of(row: SessionRow, messages: Vec<MessageRow>) -> Self {
        let SessionRow { id, user_id, title, model, is_active, created_at, updated_at } = row;
        let messages = messages.into_iter().map(ChatMessage::from).collect();
        Self { id, user_id, title, model, created_at, updated_at, is_active, messages }
    }
}

impl From<MessageRow> for ChatMessage {
    fn from(row: MessageRow) -> Self {
        let MessageRow { id, session_id, role, content, model, tokens, created_at } = row;
        Self { id, session_id, role, content, model, tokens, created_at }
    }
}

fn unknown_session() -> ApiError {
    ApiError::not_found("Chat session not found")
}

/// What is told of a session in the activity log; never what was said.
struct Event {
    action: &'static str,
    session: SessionId,
    model: Option<String>,
    /// Further details, a JSON object.
    more: Value,
}

/// Adds a line to the activity log. Without room for it the session is changed all the same.
fn log(services: &Services, user: UserId, event: Event) {
    let Event { action, session, model, more } = event;
    let mut details = json!({"session_id": session, "model": model, "app": "Chat", "provider": "Chat History"});
    if let (Value::Object(details), Value::Object(more)) = (&mut details, more) {
        details.extend(more);
    }
    let row = ActivityRow::event(user, action, details.to_string(), services.clock.now());
    let row = ActivityRow { model: model.unwrap_or_else(|| row.model.clone()), ..row };
    if services.actors.activity.record(row).is_err() {
        tracing::warn!(%user, action, "a change of a chat session is not in the activity log");
    }
}
