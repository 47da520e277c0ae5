//! The log's pages: the sums tell on which days, and between which times, there are rows of the filter; the indexes
//! `activity_of_user`, `activity_events_of_user` (what is no call) and `usage_records_of_user` have them in order.
//!
//! So a page costs what its own days hold, however long the history is; and what is rare on them is looked for where it is.

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

/// A UTC day, and how many rows of the filter it has where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct DayCount {
    #[diesel(sql_type = Date)]
    pub day: NaiveDate,
    #[diesel(sql_type = BigInt)]
    pub entries: i64,
    /// All of them stand between these two times, both included.
    #[diesel(sql_type = Timestamptz)]
    pub first_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub last_at: DateTime<Utc>,
}

/// How many rows each UTC day has, newest day first; days without rows are left out. Without a filter nothing is rare, and a day is
/// looked through as a whole: so a row shows, too, that another program has written.
///
/// # Errors
/// As for every statement.
pub async fn days(store: &Store, filter: &LogFilter) -> Result<Vec<DayCount>, StoreError> {
    let mut connection = store.get().await?;
    let counts = diesel::sql_query(
        "SELECT day, sum(entries)::bigint AS entries,
             greatest(min(first_at) FILTER (WHERE coalesce($4, $5, $6) IS NOT NULL), day::timestamp AT TIME ZONE 'UTC') AS first_at,
             least(max(last_at) FILTER (WHERE coalesce($4, $5, $6) IS NOT NULL),
                 (day + 1)::timestamp AT TIME ZONE 'UTC' - interval '1 microsecond') AS last_at
         FROM activity_day_sums
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
    days: &[DayCount],
    after: Option<LogPosition>,
    offset: i64,
    limit: i64,
) -> Result<Vec<LogEntry>, StoreError> {
    let before = |day: &DayCount| {
        let end = LogPosition { at: day.last_at, id: i64::MAX };
        after.filter(|position| position.at <= end.at).unwrap_or(end)
    };
    let ends: Vec<LogPosition> = days.iter().map(before).collect();
    let mut connection = store.get().await?;
    let rows = diesel::sql_query(include_str!("page.sql"))
        .bind::<BigInt, _>(filter.user.0)
        .bind::<Array<Timestamptz>, _>(days.iter().map(|day| day.first_at).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(ends.iter().map(|end| end.at).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(ends.iter().map(|end| end.id).collect::<Vec<_>>())
        .bind::<Nullable<Text>, _>(filter.model.as_deref())
        .bind::<Nullable<Text>, _>(filter.provider.as_deref())
        .bind::<Nullable<Text>, _>(filter.action.as_deref())
        .bind::<BigInt, _>(limit)
        .bind::<BigInt, _>(offset)
        .bind::<Nullable<Timestamptz>, _>(days.iter().map(|day| day.first_at).min())
        .bind::<Nullable<Timestamptz>, _>(ends.iter().map(|end| end.at).max());
    Ok(rows.load(&mut connection).await?)
}
