//! `GET /v1/chat/stats`.

use crate::http::error::ApiError;
use crate::http::principal::scopes::Sessions;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use serde::Serialize;
use tollgate_store::chat_sessions::{self, Totals};
use utoipa::ToSchema;

/// The user's sessions in figures
#[derive(Serialize, ToSchema)]
pub struct StatsResponse {
    success: bool,
    data: ChatStats,
    /// The same once more, under the name that older clients read.
    stats: ChatStats,
    message: &'static str,
}

/// What the user's sessions have, without the deleted ones
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct ChatStats {
    total_sessions: i64,
    total_messages: i64,
    /// The same as `total_sessions`: a deleted session counts nowhere.
    active_sessions: i64,
    total_tokens: i64,
    /// Rounded to two decimals.
    average_messages_per_session: f64,
}

impl From<Totals> for ChatStats {
    fn from(totals: Totals) -> Self {
        let Totals { sessions, messages, tokens } = totals;
        Self {
            total_sessions: sessions,
            total_messages: messages,
            active_sessions: sessions,
            total_tokens: tokens,
            average_messages_per_session: average(messages, sessions),
        }
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "two decimals for a page")]
fn average(messages: i64, sessions: i64) -> f64 {
    if sessions > 0 { (messages as f64 / sessions as f64 * 100.0).round() / 100.0 } else { 0.0 }
}

/// The user's chat sessions in figures
#[utoipa::path(tag = "chat sessions", responses(
    (status = 200, description = "The figures, twice", body = StatsResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read sessions"),
))]
#[get("/v1/chat/stats")]
pub async fn session_stats(
    services: web::Data<Services>,
    caller: May<Read, Sessions>,
) -> Result<web::Json<StatsResponse>, ApiError> {
    let stats = ChatStats::from(chat_sessions::totals(&services.store, caller.0.user).await?);
    Ok(web::Json(StatsResponse { success: true, data: stats, stats, message: "Chat session statistics retrieved successfully" }))
}
