//! `POST /v1/chat/search`.

use super::fields;
use super::list::SessionsResponse;
use crate::http::error::ApiError;
use crate::http::extract::Body;
use crate::http::principal::scopes::Sessions;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{post, web};
use serde::Deserialize;
use tollgate_store::chat_sessions;
use utoipa::ToSchema;

const QUERY_CHARS_MAX: usize = 1_000;
const LIMIT_DEFAULT: i64 = 20;
const LIMIT_MAX: i64 = 100;

/// What is looked for
#[derive(Deserialize, ToSchema)]
pub struct SearchRequest {
    /// Words, of which the first sixteen count.
    #[schema(max_length = 1_000)]
    query: String,
    /// 1 to 100, default 20.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
}

/// Search the user's chat sessions
///
/// Finds the sessions whose title, or one of whose messages, has all of the words, in any case and order; a word of three
/// letters or more is found by its beginning, too.
#[utoipa::path(tag = "chat sessions", request_body = SearchRequest, responses(
    (status = 200, description = "What was found, the session that changed last first", body = SessionsResponse),
    (status = 400, description = "A wrong field"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read sessions"),
))]
#[post("/v1/chat/search")]
pub async fn search_sessions(
    services: web::Data<Services>,
    caller: May<Read, Sessions>,
    Body(request): Body<SearchRequest>,
) -> Result<web::Json<SessionsResponse>, ApiError> {
    let limit = request.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(fields::wrong("limit", format!("Input should be from 1 to {LIMIT_MAX}")));
    }
    if request.query.chars().count() > QUERY_CHARS_MAX {
        return Err(fields::wrong("query", format!("String should have at most {QUERY_CHARS_MAX} characters")));
    }
    let rows = chat_sessions::search(&services.store, caller.0.user, &request.query, limit).await?;
    Ok(web::Json(SessionsResponse::of(rows, |count| format!("Found {count} matching sessions"))))
}
