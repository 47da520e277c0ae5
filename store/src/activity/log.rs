//! The log's pages: the sums tell which days have rows of the filter, the index `activity_of_user` has each day's rows in order.
//!
//! So a page costs what its own days hold, however long the history is and however rare what the filter asks for.

use crate::{Store, StoreError};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use tollgate_domain::UserId;

/// Which rows.
#[derive(Clone, Debug)]
pub struct LogFilter {
    pub user: UserId,
    /// UTC days, both included.
    pub first: NaiveDate,
    pub last: NaiveDate,
    /// Exact; `None` for all.
    pub model: Option<String>,
    pub provider: Option<String>,
    pub action: Option<String>,
}

/// One row.
#[derive(Clone, Debug, QueryableByName)]
pub struct LogEntry {
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    #[diesel(sql_type = Text)]
    pub action: String,
    #[diesel(sql_type = Text)]
    pub model: String,
    #[diesel(sql_type = Text)]
    pub provider: String,
    /// A JSON object.
    #[diesel(sql_type = Text)]
    pub details: String,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
}

impl LogEntry {
    /// Where it stands in the log.
    #[must_use]
    pub const fn position(&self) -> LogPosition {
        LogPosition { at: self.created_at, id: self.id }
    }
}

/// A row's place in the log, newest first: what comes after it is older, or of the same time and a lower id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    pub at: DateTime<Utc>,
    pub id: i64,
}

/// A UTC day and how many rows of the filter it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct DayCount {
    #[diesel(sql_type = Date)]
    pub day: NaiveDate,
    #[diesel(sql_type = BigInt)]
    pub entries: i64,
}

/// How many rows each UTC day has, newest day first; days without rows are left out.
///
/// # Errors
/// As for every statement.
pub async fn days(store: &Store, filter: &LogFilter) -> Result<Vec<DayCount>, StoreError> {
    let mut connection = store.get().await?;
    let counts = diesel::sql_query(
        "SELECT day, sum(entries)::bigint AS entries FROM activity_daily
         WHERE user_id = $1 AND day BETWEEN $2 AND $3
             AND ($4 IS NULL OR model = $4) AND ($5 IS NULL OR provider = $5) AND ($6 IS NULL OR action = $6)
         GROUP BY day ORDER BY day DESC",
    )
    .bind::<BigInt, _>(filter.user.0)
    .bind::<Date, _>(filter.first)
    .bind::<Date, _>(filter.last)
    .bind::<Nullable<Text>, _>(filter.model.as_deref())
    .bind::<Nullable<Text>, _>(filter.provider.as_deref())
    .bind::<Nullable<Text>, _>(filter.action.as_deref());
    Ok(counts.load(&mut connection).await?)
}

/// The filter's rows of those days (newest first, without doubles) that come after the position, newest first: `limit` of them
/// after the first `offset`. What is skipped is read.
///
/// # Errors
/// As for every statement.
pub async fn page(
    store: &Store,
    filter: &LogFilter,
    days: &[NaiveDate],
    after: Option<LogPosition>,
    offset: i64,
    limit: i64,
) -> Result<Vec<LogEntry>, StoreError> {
    let start = after.unwrap_or(LogPosition { at: DateTime::<Utc>::MAX_UTC, id: 0 });
    let mut connection = store.get().await?;
    // Day by day: a day between two of them is not looked at.
    let rows = diesel::sql_query(
        "SELECT row.* FROM unnest($2, $3) WITH ORDINALITY AS day (start, next, place)
         CROSS JOIN LATERAL (
             SELECT id, action, model, provider, details::text AS details, created_at FROM activity
             WHERE user_id = $1 AND created_at >= day.start AND created_at < day.next AND (created_at, id) < ($4, $5)
                 AND ($6 IS NULL OR model = $6) AND ($7 IS NULL OR provider = $7) AND ($8 IS NULL OR action = $8)
             ORDER BY created_at DESC, id DESC LIMIT $9 + $10
         ) AS row
         ORDER BY day.place, row.created_at DESC, row.id DESC LIMIT $9 OFFSET $10",
    )
    .bind::<BigInt, _>(filter.user.0)
    .bind::<Array<Timestamptz>, _>(days.iter().map(|day| midnight(*day)).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(days.iter().map(|day| midnight_after(*day)).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(start.at)
    .bind::<BigInt, _>(start.id)
    .bind::<Nullable<Text>, _>(filter.model.as_deref())
    .bind::<Nullable<Text>, _>(filter.provider.as_deref())
    .bind::<Nullable<Text>, _>(filter.action.as_deref())
    .bind::<BigInt, _>(limit)
    .bind::<BigInt, _>(offset);
    Ok(rows.load(&mut connection).await?)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}

fn midnight_after(day: NaiveDate) -> DateTime<Utc> {
    day.succ_opt().map_or(DateTime::<Utc>::MAX_UTC, midnight)
}
