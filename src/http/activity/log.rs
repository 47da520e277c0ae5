//! The log: what happened, newest first.

use super::RESOURCE;
use crate::http::dollars;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::paging::{day, filter, parse_place, place, within};
use crate::http::principal::Principal;
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tollgate_domain::{Nanos, UserId};
use tollgate_store::activity::{self, Labels, LogEntry, LogFilter, LogPosition};
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
    /// The `next_before` of an earlier page: what comes after that page, whatever has happened since. Wins over `page`.
    before: Option<String>,
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

/// One line of the log
#[derive(Serialize, ToSchema)]
pub struct LogRow {
    id: i64,
    user_id: i64,
    timestamp: DateTime<Utc>,
    /// `chat_completion`, `user_login`, `session_created`, …
    action: String,
    model: String,
    provider: String,
    tokens: i64,
    /// Dollars.
    #[schema(value_type = f64)]
    cost: Nanos,
    /// Tokens per second.
    speed: f64,
    finish_reason: String,
    /// `API`, `Auth` or `Chat`.
    app: String,
    #[schema(value_type = Object)]
    details: Box<RawValue>,
    /// The details once more, under the name that older clients read.
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
    created_at: DateTime<Utc>,
}

/// The activity log
#[utoipa::path(tag = "activity", params(LogQuery), responses(
    (status = 200, description = "A page", body = LogResponse),
    (status = 400, description = "A date that is none"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 422, description = "A wrong parameter"),
    (status = 503, description = "The database is away"),
))]
#[get("/user/activity/log")]
pub async fn activity_log(
    services: web::Data<Services>,
    principal: Principal,
    Query(query): Query<LogQuery>,
) -> Result<web::Json<LogResponse>, ApiError> {
    read(&services, &principal, &query).await.map(web::Json)
}

/// The activity log, for clients that ask under `/api`
#[utoipa::path(tag = "activity", params(LogQuery), responses(
    (status = 200, description = "A page", body = LogResponse),
    (status = 400, description = "A wrong parameter"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 503, description = "The database is away"),
))]
#[get("/api/user/activity/log")]
pub async fn api_activity_log(
    services: web::Data<Services>,
    principal: Principal,
    Query(query): Query<LogQuery>,
) -> Result<web::Json<LogResponse>, ApiError> {
    read(&services, &principal, &query).await.map(web::Json)
}

async fn read(services: &Services, principal: &Principal, query: &LogQuery) -> Result<LogResponse, ApiError> {
    principal.require("read", RESOURCE)?;
    let limit = within("limit", query.limit, LIMIT_DEFAULT, 1..=LIMIT_MAX)?;
    let offset = match query.page {
        Some(page) => within("page", Some(page), 1, 1..=OFFSET_MAX / limit + 1)?.saturating_sub(1) * limit,
        None => within("offset", query.offset, 0, 0..=OFFSET_MAX)?,
    };
    let before = query.before.as_deref().filter(|text| !text.is_empty()).map(position).transpose()?;
    let offset = if before.is_some() { 0 } else { offset };
    let user = principal.0.user;
    let filter = filter_of(query, user, services.settings.retention().activity_since(services.clock.now()))?;
    let days = activity::days(&services.store, &filter).await?;
    // One row more than is shown tells whether there are more.
    let mut rows = match before {
        Some(position) => activity::page_before(&services.store, &filter, position, limit + 1).await?,
        None => match narrowed(&days, offset, limit + 1) {
            Some((first, last, offset)) => {
                activity::page(&services.store, &LogFilter { first, last, ..filter }, offset, limit + 1).await?
            }
            None => Vec::new(),
        },
    };
    let has_more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_before = rows.last().filter(|_| has_more).map(|last| place(last.created_at, [last.id]));
    Ok(LogResponse {
        logs: rows.into_iter().map(|entry| LogRow::of(user, entry)).collect(),
        total: days.iter().map(|(_, entries)| entries).sum(),
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

/// Days before `since` are forgotten, or about to be.
fn filter_of(query: &LogQuery, user: UserId, since: NaiveDate) -> Result<LogFilter, ApiError> {
    Ok(LogFilter {
        user,
        first: day("from", query.from.as_deref())?.map_or(since, |from| from.max(since)),
        last: day("to", query.to.as_deref())?.unwrap_or(NaiveDate::MAX),
        model: filter("model", query.model.as_deref())?,
        provider: filter("provider", query.provider.as_deref())?,
    })
}

/// The days (first, last) that the rows from `offset` on stand in, and the offset within them; `None` past the end. `days` have
/// their counts, newest first. So a far page, or a rare model's, reads no day that has nothing on it.
fn narrowed(days: &[(NaiveDate, i64)], offset: i64, rows: i64) -> Option<(NaiveDate, NaiveDate, i64)> {
    let mut start = 0;
    let mut found: Option<(NaiveDate, NaiveDate, i64)> = None;
    for (day, entries) in days {
        let end = start + entries;
        if end > offset && start < offset + rows {
            let (_, last, within) = found.unwrap_or((*day, *day, offset - start));
            found = Some((*day, last, within));
        }
        start = end;
    }
    found
}

impl LogRow {
    /// Derived by the table of `contract.md` A.7.
    fn of(user: UserId, entry: LogEntry) -> Self {
        let labels = Labels::of(&entry.action);
        let details: Value = serde_json::from_str(&entry.details).unwrap_or_default();
        let text = |name: &str| details.get(name).and_then(Value::as_str);
        let or_label = |known: String, label: &str| if known.is_empty() { label.to_owned() } else { known };
        let cost = match details.get("cost") {
            Some(Value::Number(cost)) => dollars::parse(cost).ok(),
            Some(Value::String(cost)) => Nanos::parse_usd(cost).ok(),
            _ => None,
        };
        let raw = RawValue::from_string(entry.details).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self {
            id: entry.id,
            user_id: user.0,
            timestamp: entry.created_at,
            model: or_label(entry.model, labels.model),
            provider: or_label(entry.provider, labels.provider),
            tokens: details.get("tokens_used").and_then(Value::as_i64).unwrap_or(0),
            cost: cost.unwrap_or(Nanos::ZERO),
            speed: details.get("speed").and_then(Value::as_f64).unwrap_or(0.0),
            finish_reason: text("finish_reason").unwrap_or(&entry.action).to_owned(),
            app: text("app").unwrap_or(labels.app).to_owned(),
            action: entry.action,
            details: raw.clone(),
            metadata: raw,
            created_at: entry.created_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_looked_for_in_its_own_days() {
        let day = |of_month: u32| NaiveDate::from_ymd_opt(2025, 1, of_month).unwrap();
        let days = [(day(9), 3), (day(7), 1), (day(5), 10)];
        assert_eq!(narrowed(&days, 0, 2), Some((day(9), day(9), 0)));
        assert_eq!(narrowed(&days, 0, 3), Some((day(9), day(9), 0)));
        assert_eq!(narrowed(&days, 0, 4), Some((day(7), day(9), 0)));
        assert_eq!(narrowed(&days, 2, 3), Some((day(5), day(9), 2)));
        assert_eq!(narrowed(&days, 3, 1), Some((day(7), day(7), 0)));
        assert_eq!(narrowed(&days, 13, 100), Some((day(5), day(5), 9)));
        assert_eq!(narrowed(&days, 14, 1), None);
        assert_eq!(narrowed(&[], 0, 1), None);
    }
}
