//! A batch of rows and the sums that it changes, in one statement (`batch.sql`).

use super::{ActivityRow, CallUse};
use crate::statement::statement;
use crate::{Store, StoreError};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{Array, BigInt, Date, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use uuid::Uuid;

statement! {
    /// The statement with its columns.
    BatchInsert of include_str!("batch.sql");
    id: Uuid => SqlUuid,
    at: DateTime<Utc> => Timestamptz,

    row_user: Vec<i64> => Array<BigInt>,
    row_action: Vec<&'a str> => Array<Text>,
    row_model: Vec<&'a str> => Array<Text>,
    row_provider: Vec<&'a str> => Array<Text>,
    row_details: Vec<&'a str> => Array<Text>,
    row_at: Vec<DateTime<Utc>> => Array<Timestamptz>,

    day_user: Vec<i64> => Array<BigInt>,
    day_day: Vec<NaiveDate> => Array<Date>,
    day_key: Vec<i64> => Array<BigInt>,
    day_action: Vec<&'a str> => Array<Text>,
    day_model: Vec<&'a str> => Array<Text>,
    day_provider: Vec<&'a str> => Array<Text>,
    day_entries: Vec<i64> => Array<BigInt>,
    day_requests: Vec<i64> => Array<BigInt>,
    day_prompt: Vec<i64> => Array<BigInt>,
    day_completion: Vec<i64> => Array<BigInt>,
    day_cost: Vec<i64> => Array<BigInt>,
    day_first: Vec<DateTime<Utc>> => Array<Timestamptz>,
    day_last: Vec<DateTime<Utc>> => Array<Timestamptz>,

    key_key: Vec<i64> => Array<BigInt>,
    key_user: Vec<i64> => Array<BigInt>,
    key_requests: Vec<i64> => Array<BigInt>,
    key_prompt: Vec<i64> => Array<BigInt>,
    key_completion: Vec<i64> => Array<BigInt>,
    key_cost: Vec<i64> => Array<BigInt>,
    key_last: Vec<DateTime<Utc>> => Array<Timestamptz>,
}

/// Writes a batch in one statement. A batch that has landed before is left out, whoever repeats it.
///
/// # Errors
/// As all of the store; `Query` when a row's details are no JSON that `jsonb` takes.
pub async fn insert_batch(store: &Store, id: Uuid, at: DateTime<Utc>, rows: &[ActivityRow]) -> Result<(), StoreError> {
    let mut connection = store.get().await?;
    lay_out(id, at, rows).execute(&mut connection).await?;
    Ok(())
}

/// What rows of one user, day, key, action, model and provider add up to; or all of one key's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum {
    entries: i64,
    requests: i64,
    prompt: i64,
    completion: i64,
    cost: i64,
    /// Of calls.
    last: DateTime<Utc>,
    first_entry: DateTime<Utc>,
    last_entry: DateTime<Utc>,
}

impl Sum {
    /// Of no rows.
    const NOTHING: Self = Self {
        entries: 0,
        requests: 0,
        prompt: 0,
        completion: 0,
        cost: 0,
        last: DateTime::UNIX_EPOCH,
        first_entry: DateTime::<Utc>::MAX_UTC,
        last_entry: DateTime::<Utc>::MIN_UTC,
    };

    fn add(&mut self, row: &ActivityRow) {
        self.entries += 1;
        self.first_entry = self.first_entry.min(row.at);
        self.last_entry = self.last_entry.max(row.at);
        if let Some(CallUse { prompt_tokens, completion_tokens, cost, .. }) = row.call {
            self.requests += 1;
            self.prompt = self.prompt.saturating_add(prompt_tokens);
            self.completion = self.completion.saturating_add(completion_tokens);
            self.cost = self.cost.saturating_add(cost.0);
            self.last = self.last.max(row.at);
        }
    }
}

/// User, UTC day, key (0 for none), action, model, provider: the primary key of `activity_daily`.
type DayKey<'a> = (i64, NaiveDate, i64, &'a str, &'a str, &'a str);

/// Both in the order in which their rows are to be locked.
type Sums<'a> = (Vec<(DayKey<'a>, Sum)>, Vec<(i64, KeySum)>);

/// A key's user, and what its rows add up to.
type KeySum = (i64, Sum);

fn sums(rows: &[ActivityRow]) -> Sums<'_> {
    let (mut days, mut keys) = (BTreeMap::<DayKey<'_>, Sum>::new(), BTreeMap::<i64, KeySum>::new());
    for row in rows {
        let key = row.call.map_or(0, |call| call.key.0);
        days.entry((row.user.0, row.at.date_naive(), key, &row.action, &row.model, &row.provider))
            .or_insert(Sum::NOTHING)
            .add(row);
        if row.call.is_some() {
            keys.entry(key).or_insert((row.user.0, Sum::NOTHING)).1.add(row);
        }
    }
    (days.into_iter().collect(), keys.into_iter().collect())
}

fn lay_out(id: Uuid, at: DateTime<Utc>, rows: &[ActivityRow]) -> BatchInsert<'_> {
    let (days, keys) = sums(rows);
    BatchInsert {
        id,
        at,
        row_user: column(rows, |row| row.user.0),
        row_action: column(rows, |row| row.action.as_ref()),
        row_model: column(rows, |row| row.model.as_str()),
        row_provider: column(rows, |row| row.provider.as_ref()),
        row_details: column(rows, |row| row.details.as_str()),
        row_at: column(rows, |row| row.at),
        day_user: column(&days, |(day, _)| day.0),
        day_day: column(&days, |(day, _)| day.1),
        day_key: column(&days, |(day, _)| day.2),
        day_action: column(&days, |(day, _)| day.3),
        day_model: column(&days, |(day, _)| day.4),
        day_provider: column(&days, |(day, _)| day.5),
        day_entries: column(&days, |(_, sum)| sum.entries),
        day_requests: column(&days, |(_, sum)| sum.requests),
        day_prompt: column(&days, |(_, sum)| sum.prompt),
        day_completion: column(&days, |(_, sum)| sum.completion),
        day_cost: column(&days, |(_, sum)| sum.cost),
        day_first: column(&days, |(_, sum)| sum.first_entry),
        day_last: column(&days, |(_, sum)| sum.last_entry),
        key_key: column(&keys, |(key, _)| *key),
        key_user: column(&keys, |(_, (user, _))| *user),
        key_requests: column(&keys, |(_, (_, sum))| sum.requests),
        key_prompt: column(&keys, |(_, (_, sum))| sum.prompt),
        key_completion: column(&keys, |(_, (_, sum))| sum.completion),
        key_cost: column(&keys, |(_, (_, sum))| sum.cost),
        key_last: column(&keys, |(_, (_, sum))| sum.last),
        lifetime: PhantomData,
    }
}

fn column<'r, R, T>(rows: &'r [R], field: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(field).collect()
}
