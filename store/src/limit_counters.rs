//! What keys and users have used of their windows: the tables `limit_counters` and `limit_writers`.
//!
//! Counts are written as deltas, many in one statement, and come back as totals over all replicas. A batch has a number that
//! its writer counts up, so that one whose outcome is unknown can be sent again and counts once.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Interval, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use std::sync::LazyLock;
use tollgate_domain::{KeyId, UserId};
use uuid::Uuid;

/// Windows of a subject: minute, hour, day, month.
pub const WINDOWS: usize = 4;

/// The columns' prefixes, in the order of [`CounterRow::windows`].
const NAMES: [&str; WINDOWS] = ["minute", "hour", "day", "month"];

/// A replica that has not written for so long is gone.
const WRITER_LIVES_SECONDS: i64 = 10;

/// Whose counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    Key(KeyId),
    User(UserId),
}

impl Subject {
    const fn scope(self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::User(_) => "user",
        }
    }

    const fn id(self) -> i64 {
        match self {
            Self::Key(KeyId(id)) | Self::User(UserId(id)) => id,
        }
    }

    fn parse(scope: &str, id: i64) -> Option<Self> {
        match scope {
            "key" => Some(Self::Key(KeyId(id))),
            "user" => Some(Self::User(UserId(id))),
            _ => None,
        }
    }
}

/// One window: what was used since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowCount {
    pub start: DateTime<Utc>,
    pub requests: i64,
    pub tokens: i64,
}

/// A subject's four windows: what to add, or what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterRow {
    pub subject: Subject,
    pub windows: [WindowCount; WINDOWS],
}

/// What a batch has come to.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The totals of the batch's subjects.
    pub totals: Vec<CounterRow>,
    /// Other servers that count on the same tables.
    pub others: i64,
}

/// Adds a batch and answers the totals. A batch that has landed under that number before is not added again. The rows'
/// subjects must differ.
///
/// # Errors
/// As for every statement; then it may have landed, and is to be sent again as it is.
pub async fn add(store: &Store, writer: Uuid, sequence: i64, rows: &[CounterRow]) -> Result<Written, StoreError> {
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            let is_new = note(connection, writer, sequence).await?;
            let totals = if is_new { upsert(connection, rows).await? } else { select(connection, &subjects(rows)).await? };
            Ok(Written { totals, others: others(connection, writer).await? })
        })
        .await
}

/// The totals of those subjects that have any.
///
/// # Errors
/// As for every statement.
pub async fn read(store: &Store, subjects: &[Subject]) -> Result<Vec<CounterRow>, StoreError> {
    let mut connection = store.get().await?;
    Ok(select(&mut connection, subjects).await?)
}

/// Forgets subjects whose last window is over, and writers that are long gone.
///
/// # Errors
/// As for every statement.
pub async fn prune(store: &Store, month_before: DateTime<Utc>) -> Result<usize, StoreError> {
    let mut connection = store.get().await?;
    diesel::sql_query("DELETE FROM limit_writers WHERE written_at < now() - interval '1 day'").execute(&mut connection).await?;
    let old = diesel::sql_query("DELETE FROM limit_counters WHERE month_start < $1").bind::<Timestamptz, _>(month_before);
    Ok(old.execute(&mut connection).await?)
}

/// What all keys have used of the windows that hold `now`: requests and tokens of the minute, the hour and the day; and how
/// many keys called in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, QueryableByName)]
pub struct SystemUse {
    #[diesel(sql_type = BigInt)]
    pub requests: i64,
    #[diesel(sql_type = BigInt)]
    pub tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub active_keys: i64,
}

/// See [`SystemUse`]; minute, hour, day.
///
/// # Errors
/// As for every statement.
pub async fn system_use(store: &Store, starts: [DateTime<Utc>; 3]) -> Result<[SystemUse; 3], StoreError> {
    let mut connection = store.get().await?;
    let mut found = [SystemUse::default(); 3];
    for ((name, start), found) in NAMES.iter().zip(starts).zip(&mut found) {
        let sums = diesel::sql_query(format!(
            "SELECT coalesce(sum({name}_requests), 0)::bigint AS requests, coalesce(sum({name}_tokens), 0)::bigint AS tokens, \
             count(*) AS active_keys FROM limit_counters WHERE scope = 'key' AND {name}_start = $1 AND {name}_requests > 0"
        ));
        *found = sums.bind::<Timestamptz, _>(start).get_result(&mut connection).await?;
    }
    Ok(found)
}

fn subjects(rows: &[CounterRow]) -> Vec<Subject> {
    rows.iter().map(|row| row.subject).collect()
}

/// Notes the batch; false when it has landed before.
async fn note(connection: &mut AsyncPgConnection, writer: Uuid, sequence: i64) -> QueryResult<bool> {
    // Mutant: without the WHERE a repeated batch counts twice: `a_batch_that_is_sent_twice_counts_once` is red.
    let noted = diesel::sql_query(
        "INSERT INTO limit_writers AS w (id, sequence, written_at) VALUES ($1, $2, now()) \
         ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, written_at = now() WHERE w.sequence < excluded.sequence",
    );
    Ok(noted.bind::<SqlUuid, _>(writer).bind::<BigInt, _>(sequence).execute(connection).await? > 0)
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

async fn others(connection: &mut AsyncPgConnection, writer: Uuid) -> QueryResult<i64> {
    let alive = diesel::sql_query("SELECT count(*) AS count FROM limit_writers WHERE id <> $1 AND written_at > now() - $2");
    let lives = diesel::data_types::PgInterval::from_microseconds(WRITER_LIVES_SECONDS * 1_000_000);
    let alive: Count = alive.bind::<SqlUuid, _>(writer).bind::<Interval, _>(lives).get_result(connection).await?;
    Ok(alive.count)
}

/// All that is said of one window, for each window.
fn for_each_window(text: impl Fn(&str) -> String) -> String {
    NAMES.map(text).join(", ")
}

/// A row's counts in the order of [`CounterRow::windows`]; the row type reads them by position.
fn columns(table: &str) -> String {
    for_each_window(|w| format!("{table}{w}_start, {table}{w}_requests, {table}{w}_tokens"))
}

/// A delta of the row's window is added, one of a later window takes its place, one of an earlier window comes too late.
static UPSERT: LazyLock<String> = LazyLock::new(|| {
    let values = (3..).step_by(3).take(WINDOWS).map(|n| format!("${n}, ${}, ${}", n + 1, n + 2)).collect::<Vec<_>>().join(", ");
    let added = |w: &str, measure: &str| {
        format!(
            "{w}_{measure} = CASE WHEN c.{w}_start = excluded.{w}_start THEN c.{w}_{measure} + excluded.{w}_{measure} \
             WHEN c.{w}_start < excluded.{w}_start THEN excluded.{w}_{measure} ELSE c.{w}_{measure} END"
        )
    };
    let sets = for_each_window(|w| {
        format!("{w}_start = greatest(c.{w}_start, excluded.{w}_start), {}, {}", added(w, "requests"), added(w, "tokens"))
    });
    let names = columns("");
    // Sorted, because two replicas may write the same rows at once.
    format!(
        "INSERT INTO limit_counters AS c (scope, subject_id, {names}) \
         SELECT * FROM UNNEST($1, $2, {values}) AS n (scope, subject_id, {names}) ORDER BY scope, subject_id \
         ON CONFLICT (scope, subject_id) DO UPDATE SET {sets} RETURNING {}",
        all_columns("c.")
    )
});

static SELECT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {} FROM UNNEST($1, $2) AS asked (scope, subject_id) JOIN limit_counters c USING (scope, subject_id)",
        all_columns("c.")
    )
});

fn all_columns(table: &str) -> String {
    format!("{table}scope, {table}subject_id, {}", columns(table))
}

async fn upsert(connection: &mut AsyncPgConnection, rows: &[CounterRow]) -> QueryResult<Vec<CounterRow>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let scopes: Vec<&str> = rows.iter().map(|row| row.subject.scope()).collect();
    let ids: Vec<i64> = rows.iter().map(|row| row.subject.id()).collect();
    let mut statement =
        diesel::sql_query(UPSERT.as_str()).into_boxed().bind::<Array<Text>, _>(scopes).bind::<Array<BigInt>, _>(ids);
    for window in 0..WINDOWS {
        let of_window = |row: &CounterRow| row.windows.get(window).copied();
        let counts: Vec<WindowCount> = rows.iter().filter_map(of_window).collect();
        statement = statement
            .bind::<Array<Timestamptz>, _>(counts.iter().map(|count| count.start).collect::<Vec<_>>())
            .bind::<Array<BigInt>, _>(counts.iter().map(|count| count.requests).collect::<Vec<_>>())
            .bind::<Array<BigInt>, _>(counts.iter().map(|count| count.tokens).collect::<Vec<_>>());
    }
    let totals: Vec<Total> = statement.load(connection).await?;
    Ok(totals.into_iter().filter_map(Total::into_row).collect())
}

async fn select(connection: &mut AsyncPgConnection, subjects: &[Subject]) -> QueryResult<Vec<CounterRow>> {
    let scopes: Vec<&str> = subjects.iter().map(|subject| subject.scope()).collect();
    let ids: Vec<i64> = subjects.iter().map(|subject| subject.id()).collect();
    let statement = diesel::sql_query(SELECT.as_str()).bind::<Array<Text>, _>(scopes).bind::<Array<BigInt>, _>(ids);
    let totals: Vec<Total> = statement.load(connection).await?;
    Ok(totals.into_iter().filter_map(Total::into_row).collect())
}

#[derive(QueryableByName)]
#[diesel(table_name = crate::schema::limit_counters)]
struct Total {
    scope: String,
    subject_id: i64,
    minute_start: DateTime<Utc>,
    minute_requests: i64,
    minute_tokens: i64,
    hour_start: DateTime<Utc>,
    hour_requests: i64,
    hour_tokens: i64,
    day_start: DateTime<Utc>,
    day_requests: i64,
    day_tokens: i64,
    month_start: DateTime<Utc>,
    month_requests: i64,
    month_tokens: i64,
}

impl Total {
    fn into_row(self) -> Option<CounterRow> {
        let window = |start, requests, tokens| WindowCount { start, requests, tokens };
        Some(CounterRow {
            subject: Subject::parse(&self.scope, self.subject_id)?,
            windows: [
                window(self.minute_start, self.minute_requests, self.minute_tokens),
                window(self.hour_start, self.hour_requests, self.hour_tokens),
                window(self.day_start, self.day_requests, self.day_tokens),
                window(self.month_start, self.month_requests, self.month_tokens),
            ],
        })
    }
}
