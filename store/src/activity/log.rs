//! The log's pages: where a page starts is told by the sums, its rows by the index `activity_of_user`.

use crate::{Store, StoreError};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Nullable, Text, Timestamptz};
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

/// A row's place in the log, newest first: what comes after it is older, or of the same time and a lower id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    pub at: DateTime<Utc>,
    pub id: i64,
}

#[derive(QueryableByName)]
struct DayCount {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = BigInt)]
    entries: i64,
}

/// How many rows each UTC day has, newest day first; days without rows are left out.
///
/// # Errors
/// As for every statement.
pub async fn days(store: &Store, filter: &LogFilter) -> Result<Vec<(NaiveDate, i64)>, StoreError> {
    let mut connection = store.get().await?;
    let counts: Vec<DayCount> = diesel::sql_query(
        "SELECT day, sum(entries)::bigint AS entries FROM activity_daily
         WHERE user_id = $1 AND day BETWEEN $2 AND $3 AND ($4 IS NULL OR model = $4) AND ($5 IS NULL OR provider = $5)
         GROUP BY day ORDER BY day DESC",
    )
    .bind::<BigInt, _>(filter.user.0)
    .bind::<Date, _>(filter.first)
    .bind::<Date, _>(filter.last)
    .bind::<Nullable<Text>, _>(filter.model.as_deref())
    .bind::<Nullable<Text>, _>(filter.provider.as_deref())
    .load(&mut connection)
    .await?;
    Ok(counts.into_iter().map(|count| (count.day, count.entries)).collect())
}

/// The filter's rows from the `offset`th on, newest first. Rows before it are skipped one by one: narrow the days first.
///
/// # Errors
/// As for every statement.
pub async fn page(store: &Store, filter: &LogFilter, offset: i64, limit: i64) -> Result<Vec<LogEntry>, StoreError> {
    rows(store, filter, None, offset, limit).await
}

/// The filter's rows that come after the position, newest first. Costs the same on every page.
///
/// # Errors
/// As for every statement.
pub async fn page_before(
    store: &Store,
    filter: &LogFilter,
    position: LogPosition,
    limit: i64,
) -> Result<Vec<LogEntry>, StoreError> {
    rows(store, filter, Some(position), 0, limit).await
}

async fn rows(
    store: &Store,
    filter: &LogFilter,
    before: Option<LogPosition>,
    offset: i64,
    limit: i64,
) -> Result<Vec<LogEntry>, StoreError> {
    let (from, until) = (midnight(filter.first), filter.last.succ_opt().map_or(DateTime::<Utc>::MAX_UTC, midnight));
    let start = before.unwrap_or(LogPosition { at: until, id: 0 });
    let mut connection = store.get().await?;
    let rows = diesel::sql_query(
        "SELECT id, action, model, provider, details::text AS details, created_at FROM activity
         WHERE user_id = $1 AND created_at >= $2 AND created_at < $3 AND (created_at, id) < ($4, $5)
             AND ($6 IS NULL OR model = $6) AND ($7 IS NULL OR provider = $7)
         ORDER BY created_at DESC, id DESC LIMIT $8 OFFSET $9",
    )
    .bind::<BigInt, _>(filter.user.0)
    .bind::<Timestamptz, _>(from)
    .bind::<Timestamptz, _>(until)
    .bind::<Timestamptz, _>(start.at)
    .bind::<BigInt, _>(start.id)
    .bind::<Nullable<Text>, _>(filter.model.as_deref())
    .bind::<Nullable<Text>, _>(filter.provider.as_deref())
    .bind::<BigInt, _>(limit)
    .bind::<BigInt, _>(offset);
    Ok(rows.load(&mut connection).await?)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}
