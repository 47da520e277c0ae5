//! `GET /v1/chat/sessions`.

use super::ChatSession;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::paging::within;
use crate::http::principal::scopes::Sessions;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use serde::{Deserialize, Serialize};
use tollgate_store::chat_sessions::{self, SessionRow};
use utoipa::{IntoParams, ToSchema};

const LIMIT_DEFAULT: i64 = 50;
const LIMIT_MAX: i64 = 100;
const OFFSET_MAX: i64 = 1_000_000;

/// Which sessions
#[derive(Deserialize, IntoParams)]
pub struct SessionsQuery {
    /// 1 to 100, default 50.
    limit: Option<i64>,
    /// 0 to 1000000.
    offset: Option<i64>,
}

/// Sessions
#[derive(Serialize, ToSchema)]
pub struct SessionsResponse {
    success: bool,
    /// The one that changed last first; without their messages.
    data: Vec<ChatSession>,
    /// How many `data` has.
    count: usize,
    message: String,
}

impl SessionsResponse {
    pub(super) fn of(rows: Vec<SessionRow>, message: impl FnOnce(usize) -> String) -> Self {
        let data: Vec<_> = rows.into_iter().map(|row| ChatSession::of(row, Vec::new())).collect();
        Self { success: true, count: data.len(), message: message(data.len()), data }
    }
}

/// The user's chat sessions
#[utoipa::path(tag = "chat sessions", params(SessionsQuery), responses(
    (status = 200, description = "A page", body = SessionsResponse),
    (status = 400, description = "A wrong parameter"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read sessions"),
))]
#[get("/v1/chat/sessions")]
pub async fn list_sessions(
    services: web::Data<Services>,
    caller: May<Read, Sessions>,
    Query(query): Query<SessionsQuery>,
) -> Result<web::Json<SessionsResponse>, ApiError> {
    let limit = within("limit", query.limit, LIMIT_DEFAULT, 1..=LIMIT_MAX)?;
    let offset = within("offset", query.offset, 0, 0..=OFFSET_MAX)?;
    let rows = chat_sessions::list(&services.store, caller.0.user, limit, offset).await?;
    Ok(web::Json(SessionsResponse::of(rows, |count| format!("Retrieved {count} chat sessions"))))
}
