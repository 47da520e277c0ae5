//! The statistics: sums of model calls (or of another action) by day, model and provider. Only sums are read.

use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::paging::{day, filter, within};
use crate::http::principal::scopes::Activity;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tollgate_domain::{Nanos, UserId};
use tollgate_store::activity::{self, Sum, Sums, SumsFilter};
use utoipa::{IntoParams, ToSchema};

const DAYS_DEFAULT: i64 = 30;
const DAYS_MAX: i64 = 365;
/// Of `from` and `to`.
const SPAN_MAX: i64 = 3_660;

/// Which days
#[derive(Deserialize, IntoParams)]
pub struct StatsQuery {
    /// 1 to 365, default 30: that many UTC days up to today.
    days: Option<i64>,
    /// The first UTC day, `YYYY-MM-DD`; with `to` it wins over `days`.
    from: Option<String>,
    /// The last UTC day, itself included.
    to: Option<String>,
    /// Exactly this model.
    model: Option<String>,
    /// Exactly this provider.
    provider: Option<String>,
    /// Default `chat_completion`. Of any other action the log's entries are counted.
    action: Option<String>,
}

/// What model calls came to. Dollars
#[derive(Serialize, ToSchema)]
pub struct StatsResponse {
    total_requests: i64,
    total_tokens: i64,
    #[schema(value_type = f64)]
    total_spend: Nanos,
    /// The same as `total_spend`.
    #[schema(value_type = f64)]
    total_cost: Nanos,
    /// Days with calls, oldest first.
    daily_stats: Vec<DayStats>,
    /// The same days under other names.
    by_date: Vec<DateStats>,
    by_model: BTreeMap<String, PartStats>,
    by_provider: BTreeMap<String, PartStats>,
}

/// A UTC day
#[derive(Serialize, ToSchema)]
pub struct DayStats {
    date: NaiveDate,
    #[schema(value_type = f64)]
    spend: Nanos,
    tokens: i64,
    requests: i64,
}

/// A UTC day
#[derive(Serialize, ToSchema)]
pub struct DateStats {
    date: NaiveDate,
    #[serde(flatten)]
    sum: PartStats,
}

/// A part of the calls
#[derive(Serialize, ToSchema)]
pub struct PartStats {
    requests: i64,
    tokens: i64,
    #[schema(value_type = f64)]
    cost: Nanos,
}

/// The activity statistics
#[utoipa::path(tag = "activity", params(StatsQuery), responses(
    (status = 200, description = "The sums", body = StatsResponse),
    (status = 400, description = "A date that is none, or too many days"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 422, description = "A wrong parameter"),
    (status = 503, description = "The database is away"),
))]
#[get("/user/activity/stats")]
pub async fn activity_stats(
    services: web::Data<Services>,
    caller: May<Read, Activity>,
    Query(query): Query<StatsQuery>,
) -> Result<web::Json<StatsResponse>, ApiError> {
    read(&services, caller.0.user, &query).await.map(web::Json)
}

/// The activity statistics, for clients that ask under `/api`
#[utoipa::path(tag = "activity", params(StatsQuery), responses(
    (status = 200, description = "The sums", body = StatsResponse),
    (status = 400, description = "A wrong parameter"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 503, description = "The database is away"),
))]
#[get("/api/user/activity/stats")]
pub async fn api_activity_stats(
    services: web::Data<Services>,
    caller: May<Read, Activity>,
    Query(query): Query<StatsQuery>,
) -> Result<web::Json<StatsResponse>, ApiError> {
    read(&services, caller.0.user, &query).await.map(web::Json)
}

async fn read(services: &Services, user: UserId, query: &StatsQuery) -> Result<StatsResponse, ApiError> {
    let (first, last) = span(query, services.clock.now().date_naive())?;
    let filter = SumsFilter {
        user,
        key: None,
        first,
        last,
        model: filter("model", query.model.as_deref())?,
        provider: filter("provider", query.provider.as_deref())?,
        action: filter("action", query.action.as_deref())?,
    };
    Ok(StatsResponse::of(activity::sums_of(&services.store, &filter).await?))
}

/// The first and the last day. Either of them alone goes as far as `days` would, or to today.
fn span(query: &StatsQuery, today: NaiveDate) -> Result<(NaiveDate, NaiveDate), ApiError> {
    let days = within("days", query.days, DAYS_DEFAULT, 1..=DAYS_MAX)?;
    let back = |last: NaiveDate| {
        let others = Days::new(u64::try_from(days - 1).unwrap_or(0));
        last.checked_sub_days(others).unwrap_or(NaiveDate::MIN)
    };
    let span = match (day("from", query.from.as_deref())?, day("to", query.to.as_deref())?) {
        (Some(first), Some(last)) => (first, last),
        (Some(first), None) => (first, today),
        (None, Some(last)) => (back(last), last),
        (None, None) => (back(today), today),
    };
    if (span.1 - span.0).num_days() >= SPAN_MAX {
        return Err(ApiError::bad_request(format!("from and to may span at most {SPAN_MAX} days")));
    }
    Ok(span)
}

impl StatsResponse {
    fn of(sums: Sums) -> Self {
        let total = PartStats::from(sums.days.iter().map(|(_, sum)| *sum).sum::<Sum>());
        let by_name = |parts: Vec<(String, Sum)>| parts.into_iter().map(|(name, sum)| (name, sum.into())).collect();
        let day = |(date, sum): &(NaiveDate, Sum)| DayStats {
            date: *date,
            spend: Nanos(sum.cost),
            tokens: sum.tokens,
            requests: sum.requests,
        };
        Self {
            total_requests: total.requests,
            total_tokens: total.tokens,
            total_spend: total.cost,
            total_cost: total.cost,
            daily_stats: sums.days.iter().map(day).collect(),
            by_date: sums.days.into_iter().map(|(date, sum)| DateStats { date, sum: sum.into() }).collect(),
            by_model: by_name(sums.models),
            by_provider: by_name(sums.providers),
        }
    }
}

impl From<Sum> for PartStats {
    fn from(sum: Sum) -> Self {
        Self { requests: sum.requests, tokens: sum.tokens, cost: Nanos(sum.cost) }
    }
}
