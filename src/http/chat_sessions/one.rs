//! `GET /v1/chat/sessions/{session_id}`: a session with its messages.

use super::{ChatSession, unknown_session};
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::paging::{parse_place, place, within};
use crate::http::principal::scopes::Sessions;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use serde::{Deserialize, Serialize};
use tollgate_domain::SessionId;
use tollgate_store::Store;
use tollgate_store::StoreError;
use tollgate_store::chat_sessions::{self, Place, SessionRow, Slice};
use utoipa::{IntoParams, ToSchema};

/// A session of so many messages is shown whole; of a longer one its end, and from there on page by page.
const MESSAGES_MAX: i64 = 1_000;
/// Text of one answer; a single message is shown whole.
const BYTES_MAX: i64 = 4 << 20;

/// Which messages
#[derive(Deserialize, IntoParams)]
pub struct MessagesQuery {
    /// 1 to 1000, default 1000: so many of the newest messages, and at most 4 MiB of text.
    limit: Option<i64>,
    /// The `next_before` of an earlier page: what stands before that page, whatever was said since.
    before: Option<String>,
}

/// A session with its messages
#[derive(Serialize, ToSchema)]
pub struct SessionPageResponse {
    success: bool,
    data: ChatSession,
    message: &'static str,
    /// There are older messages.
    has_more: bool,
    /// Where the page with them begins; `null` on the last.
    next_before: Option<String>,
}

impl SessionPageResponse {
    /// The session with the end of its messages.
    pub(super) async fn read(store: &Store, row: SessionRow, slice: Slice, message: &'static str) -> Result<Self, StoreError> {
        let page = chat_sessions::newest(store, SessionId(row.id), slice).await?;
        let oldest = page.rows.first().filter(|_| page.has_more);
        let next_before = oldest.map(|oldest| place(oldest.created_at, [oldest.id]));
        Ok(Self { success: true, has_more: page.has_more, next_before, data: ChatSession::of(row, page.rows), message })
    }
}

/// What is shown without further wishes.
pub(super) const fn newest() -> Slice {
    Slice { before: None, messages_max: MESSAGES_MAX, bytes_max: BYTES_MAX }
}

/// A chat session
///
/// With its messages, oldest first: all of them up to 1000 messages and 4 MiB of text, of a longer session the newest.
#[utoipa::path(tag = "chat sessions", params(("session_id" = i64, Path), MessagesQuery), responses(
    (status = 200, description = "The session", body = SessionPageResponse),
    (status = 400, description = "A wrong parameter"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read sessions"),
    (status = 404, description = "No such session of this user"),
))]
#[get("/v1/chat/sessions/{session_id}")]
pub async fn one_session(
    services: web::Data<Services>,
    caller: May<Read, Sessions>,
    Path(session): Path<i64>,
    Query(query): Query<MessagesQuery>,
) -> Result<web::Json<SessionPageResponse>, ApiError> {
    let messages_max = within("limit", query.limit, MESSAGES_MAX, 1..=MESSAGES_MAX)?;
    let before = query.before.as_deref().filter(|text| !text.is_empty()).map(parse_before).transpose()?;
    let found = chat_sessions::find(&services.store, caller.0.user, SessionId(session)).await?;
    let row = found.ok_or_else(unknown_session)?;
    let slice = Slice { before, messages_max, ..newest() };
    let page = SessionPageResponse::read(&services.store, row, slice, "Chat session retrieved successfully").await?;
    Ok(web::Json(page))
}

fn parse_before(text: &str) -> Result<Place, ApiError> {
    let (at, [id]) = parse_place("before", text)?;
    Ok(Place { at, id })
}
