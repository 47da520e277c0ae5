//! `GET /user/api-keys/audit-logs`.

use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::paging::{filter, within};
use crate::http::principal::scopes::ApiKeys;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollgate_domain::KeyId;
use tollgate_store::audit::{self, AuditFilter, AuditRow};
use utoipa::{IntoParams, ToSchema};

const LIMIT_DEFAULT: i64 = 100;
const LIMIT_MAX: i64 = 1_000;

/// Which rows
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditLogsQuery {
    /// Of this key only, also of one that is deleted.
    key_id: Option<i64>,
    /// `create`, `update`, `rotate`, `delete`, `assign_plan`, `add_credits`, `update_profile`, …
    #[param(example = "create")]
    action: Option<String>,
    /// ISO 8601, from there on: a time, UTC when it names no other zone, or a day.
    #[param(example = "2025-10-01T00:00:00Z")]
    start_date: Option<String>,
    /// Likewise, up to there; a day is meant to its end.
    #[param(example = "2025-10-31")]
    end_date: Option<String>,
    /// 1 to 1000, default 100.
    #[param(minimum = 1, maximum = 1_000)]
    limit: Option<i64>,
}

/// What was done to the account and its keys
#[derive(Serialize, ToSchema)]
pub struct AuditLogsResponse {
    status: &'static str,
    /// Rows that fit the question; `logs` has the first `limit` of them.
    total_logs: i64,
    /// Newest first.
    logs: Vec<AuditLog>,
    phase4_integration: bool,
    security_features_enabled: bool,
}

/// Something that was done
#[derive(Serialize, ToSchema)]
pub struct AuditLog {
    id: i64,
    user_id: i64,
    /// `null`: it was done to the account.
    api_key_id: Option<i64>,
    action: String,
    #[schema(value_type = Object)]
    details: Value,
    timestamp: DateTime<Utc>,
    /// By whom: `owner`, `operator`, `admin` with a user's id, `command_line`.
    actor: String,
}

/// The audit log
///
/// What was done to the account and its keys, and by whom. The rows form a chain of hashes: the operator can prove that none was
/// changed, removed or put in between.
#[utoipa::path(tag = "api keys", params(AuditLogsQuery), responses(
    (status = 200, description = "The rows", body = AuditLogsResponse),
    (status = 400, description = "A date that is none"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read keys"),
    (status = 422, description = "A wrong parameter"),
    (status = 503, description = "The database is away"),
))]
#[get("/user/api-keys/audit-logs")]
pub async fn api_keys_audit_logs(
    services: web::Data<Services>,
    caller: May<Read, ApiKeys>,
    Query(query): Query<AuditLogsQuery>,
) -> Result<web::Json<AuditLogsResponse>, ApiError> {
    let user = caller.0.user;
    let (rows, total_logs) = audit::list(&services.store, user, &filter_of(&query)?).await?;
    Ok(web::Json(AuditLogsResponse {
        status: "success",
        total_logs,
        logs: rows.into_iter().map(|row| AuditLog::of(user.0, row)).collect(),
        phase4_integration: true,
        security_features_enabled: true,
    }))
}

impl AuditLog {
    fn of(user_id: i64, row: AuditRow) -> Self {
        let AuditRow { id, api_key_id, action, details, timestamp, actor, .. } = row;
        Self { id, user_id, api_key_id, action, details, timestamp, actor }
    }
}

fn filter_of(query: &AuditLogsQuery) -> Result<AuditFilter, ApiError> {
    Ok(AuditFilter {
        key: query.key_id.map(KeyId),
        action: filter("action", query.action.as_deref())?,
        from: moment("start_date", query.start_date.as_deref(), |day| Some(day.and_time(NaiveTime::MIN)))?,
        to: moment("end_date", query.end_date.as_deref(), last_moment)?,
        limit: within("limit", query.limit, LIMIT_DEFAULT, 1..=LIMIT_MAX)?,
    })
}

/// The last microsecond, which is as fine as rows are.
fn last_moment(day: NaiveDate) -> Option<NaiveDateTime> {
    day.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN).checked_sub_signed(TimeDelta::microseconds(1))
}

/// A time of ISO 8601, or 400; of a day, the moment that `of_day` says; an empty text is none.
fn moment(
    name: &str,
    given: Option<&str>,
    of_day: impl Fn(NaiveDate) -> Option<NaiveDateTime>,
) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(text) = given.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let parsed = time(text).or_else(|| Some(of_day(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?)?.and_utc()));
    // chrono knows years that PostgreSQL does not.
    let parsed = parsed.filter(|at| (1..=9_999).contains(&at.year()));
    match parsed {
        Some(at) => Ok(Some(at)),
        None => Err(ApiError::bad_request(format!("Invalid {name} format. Use ISO format.")).with_param(name)),
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    // A query's `+00:00` that was not encoded arrives as a blank.
    let with_zone = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
    let repaired = || text.rsplit_once(' ').and_then(|(before, zone)| with_zone(&format!("{before}+{zone}")));
    let without_zone = || text.parse::<NaiveDateTime>().or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"));
    with_zone(text).or_else(repaired).or_else(|| without_zone().ok().map(|at| at.and_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form_of_iso_8601_that_clients_send() {
        let at = |text: &str| moment("start_date", Some(text), |day| Some(day.and_time(NaiveTime::MIN))).ok().flatten();
        let noon = DateTime::from_timestamp(1_763_812_800, 0);
        for same in [
            "2025-11-22T12:00:00Z",
            "2025-11-22T12:00:00.000Z",
            "2025-11-22T12:00:00+00:00",
            "2025-11-22T12:00:00 00:00",
            "2025-11-22T14:00:00+02:00",
            "2025-11-22T12:00:00",
            "2025-11-22 12:00:00",
        ] {
            assert_eq!(at(same), noon, "{same}");
        }
        assert_eq!(at("2025-11-22").unwrap().to_rfc3339(), "2025-11-22T00:00:00+00:00");
        let end = moment("end_date", Some("2025-11-22"), last_moment).unwrap().unwrap();
        assert_eq!(end.to_rfc3339(), "2025-11-22T23:59:59.999999+00:00");
        assert_eq!(at(" "), None);
        for wrong in ["yesterday", "22.11.2025", "2025-13-01", "2025-11-22T25:00:00Z", "1763812800", "-9999-01-01T00:00:00Z"] {
            let error = moment("start_date", Some(wrong), |_| None).unwrap_err();
            assert_eq!(
                (error.status().as_u16(), error.message()),
                (400, "Invalid start_date format. Use ISO format."),
                "{wrong}"
            );
        }
    }
}
