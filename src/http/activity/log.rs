//! The log: what happened, newest first.

use super::row::LogRow;
use super::{csv, walk};
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::paging::{day, filter, parse_place, place, within};
use crate::http::principal::scopes::Activity;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{HttpResponse, get, web};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use tollgate_domain::UserId;
use tollgate_store::activity::{self, LogFilter, LogPosition};
use utoipa::{IntoParams, ToSchema};

const LIMIT_DEFAULT: i64 = 10;
const LIMIT_MAX: i64 = 1_000;
/// Who goes further back does so with `before`, which costs the same on every page.
const OFFSET_MAX: i64 = 1_000_000;

/// Which rows
#[derive(Deserialize, IntoParams)]
pub struct LogQuery {
    /// 1 to 1000, default 10.
    limit: Option<i64>,
    /// From 0.
    offset: Option<i64>,
    /// From 1; wins over `offset`.
    page: Option<i64>,
    /// The first UTC day, `YYYY-MM-DD`.
    from: Option<String>,
    /// The last UTC day, itself included.
    to: Option<String>,
    /// Exactly this model.
    model: Option<String>,
    /// Exactly this provider.
    provider: Option<String>,
    /// Exactly this action: `chat_completion`, `user_login`, `session_created`, …
    action: Option<String>,
    /// The `next_before` of an earlier page: what comes after that page, whatever has happened since. Wins over `page`.
    before: Option<String>,
    /// `json` (default), or `csv`: all rows that the filter finds, newest first, whatever page is asked for.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// How the log is written
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Csv,
}

/// A page of the log
#[derive(Serialize, ToSchema)]
pub struct LogResponse {
    /// Newest first.
    logs: Vec<LogRow>,
    /// All rows that the filter finds.
    total: i64,
    page: i64,
    limit: i64,
    offset: i64,
    has_more: bool,
    /// Where the next page begins; `null` on the last.
    next_before: Option<String>,
}

/// The activity log
#[utoipa::path(tag = "activity", params(LogQuery), responses(
    (status = 200, description = "A page, or the whole as CSV", content((LogResponse = "application/json"), (String = "text/csv"))),
    (status = 400, description = "A date that is none"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 422, description = "A wrong parameter"),
    (status = 503, description = "The database is away"),
))]
#[get("/user/activity/log")]
pub async fn activity_log(
    services: web::Data<Services>,
    caller: May<Read, Activity>,
    Query(query): Query<LogQuery>,
) -> Result<HttpResponse, ApiError> {
    answer(&services, caller.0.user, &query).await
}

/// The activity log, for clients that ask under `/api`
#[utoipa::path(tag = "activity", params(LogQuery), responses(
    (status = 200, description = "A page, or the whole as CSV", content((LogResponse = "application/json"), (String = "text/csv"))),
    (status = 400, description = "A wrong parameter"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 503, description = "The database is away"),
))]
#[get("/api/user/activity/log")]
pub async fn api_activity_log(
    services: web::Data<Services>,
    caller: May<Read, Activity>,
    Query(query): Query<LogQuery>,
) -> Result<HttpResponse, ApiError> {
    answer(&services, caller.0.user, &query).await
}

async fn answer(services: &Services, user: UserId, query: &LogQuery) -> Result<HttpResponse, ApiError> {
    let since = services.settings.retention().activity_since(services.clock.now());
    let filter = filter_of(query, user, since)?;
    match query.format {
        Format::Json => Ok(HttpResponse::Ok().json(read(services, filter, query).await?)),
        Format::Csv => csv::export(services, filter).await,
    }
}

async fn read(services: &Services, filter: LogFilter, query: &LogQuery) -> Result<LogResponse, ApiError> {
    let limit = within("limit", query.limit, LIMIT_DEFAULT, 1..=LIMIT_MAX)?;
    let offset = match query.page {
        Some(page) => within("page", Some(page), 1, 1..=OFFSET_MAX / limit + 1)?.saturating_sub(1) * limit,
        None => within("offset", query.offset, 0, 0..=OFFSET_MAX)?,
    };
    let before = query.before.as_deref().filter(|text| !text.is_empty()).map(position).transpose()?;
    let offset = if before.is_some() { 0 } else { offset };
    let days = activity::days(&services.store, &filter).await?;
    // One row more than is shown tells whether there are more.
    let (page_days, skipped) = match before {
        Some(position) => (walk::following(&days, position, limit + 1), 0),
        None => walk::numbered(&days, offset, limit + 1),
    };
    let mut rows = match page_days.as_slice() {
        [] => Vec::new(),
        page_days => activity::page(&services.store, &filter, page_days, before, skipped, limit + 1).await?,
    };
    let has_more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_before = rows.last().filter(|_| has_more).map(|last| place(last.created_at, [last.id]));
    Ok(LogResponse {
        logs: rows.into_iter().map(|entry| LogRow::of(filter.user, entry)).collect(),
        total: days.iter().map(|count| count.entries).sum(),
        page: offset / limit + 1,
        limit,
        offset,
        has_more,
        next_before,
    })
}

fn position(text: &str) -> Result<LogPosition, ApiError> {
    let (at, [id]) = parse_place("before", text)?;
    Ok(LogPosition { at, id })
}

/// Days before `since` are not shown; what is no call is forgotten then.
fn filter_of(query: &LogQuery, user: UserId, since: NaiveDate) -> Result<LogFilter, ApiError> {
    Ok(LogFilter {
        user,
        first: day("from", query.from.as_deref())?.map_or(since, |from| from.max(since)),
        last: day("to", query.to.as_deref())?.unwrap_or(NaiveDate::MAX),
        model: filter("model", query.model.as_deref())?,
        provider: filter("provider", query.provider.as_deref())?,
        action: filter("action", query.action.as_deref())?,
    })
}
