//! Messages: written at a session's end, read from its end.

use super::words;
use crate::statement::statement;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::query_builder::Query;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use tollgate_domain::{SessionId, UserId};
use uuid::Uuid;

/// A message's text: longer than any model's answer.
pub const CONTENT_BYTES_MAX: usize = 1 << 20;
const MODEL_CHARS_MAX: usize = 100;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Assistant,
}

impl Role {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A message to be written; `content` as [`storable`] makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewMessage<'a> {
    pub role: Role,
    pub content: &'a str,
    pub model: Option<&'a str>,
    pub tokens: i64,
}

/// Where messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writing {
    pub user: UserId,
    pub session: SessionId,
    pub now: DateTime<Utc>,
    /// When they were said; `None`: now, and not before the session's other messages.
    pub at: Option<DateTime<Utc>>,
    /// Which completion they are of: written again, they are left out.
    pub turn: Option<Uuid>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    pub id: i64,
    pub session_id: i64,
    pub role: String,
    pub content: String,
    pub model: Option<String>,
    pub tokens: i64,
    pub created_at: DateTime<Utc>,
}

/// A message's place in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub at: DateTime<Utc>,
    pub id: i64,
}

/// How much of a session's end to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Only what stands before it.
    pub before: Option<Place>,
    pub messages_max: i64,
    /// Of text; a longer single message is read all the same.
    pub bytes_max: i64,
}

/// A part of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Oldest first.
    pub rows: Vec<MessageRow>,
    /// There are older ones.
    pub has_more: bool,
}

/// The text as the table can have it: without null characters, and cut where it is too long.
#[must_use]
pub fn storable(text: &str) -> String {
    let fitting = text.get(..text.floor_char_boundary(CONTENT_BYTES_MAX)).unwrap_or_default();
    fitting.replace('\0', "")
}

/// A model's name as the table can have it.
#[must_use]
pub fn shortened(model: &str) -> &str {
    model.char_indices().nth(MODEL_CHARS_MAX).and_then(|(end, _)| model.get(..end)).unwrap_or(model)
}

statement! {
    /// Writes messages.
    Append of include_str!("append.sql");
    role: Vec<&'a str> => Array<Text>,
    content: Vec<&'a str> => Array<Text>,
    model: Vec<Option<&'a str>> => Array<Nullable<Text>>,
    tokens: Vec<i64> => Array<BigInt>,
    words: Vec<String> => Array<Text>,
    now: DateTime<Utc> => Timestamptz,
    at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
    turn: Option<Uuid> => Nullable<SqlUuid>,
    session: i64 => BigInt,
    user: i64 => BigInt,
}

impl Query for Append<'_> {
    type SqlType = (BigInt, Timestamptz);
}

statement! {
    /// Reads the newest messages.
    Newest of include_str!("newest.sql");
    session: i64 => BigInt,
    before_at: DateTime<Utc> => Timestamptz,
    before_id: i64 => BigInt,
    limit: i64 => BigInt,
    messages_max: i64 => BigInt,
    bytes_max: i64 => BigInt,
}

impl Query for Newest<'_> {
    type SqlType = (BigInt, BigInt, Text, Text, Nullable<Text>, BigInt, Timestamptz, BigInt);
}

/// Writes messages at the session's end, all or none. Answers where they stand; none when there is no such session of the
/// user's, or their turn is written already.
///
/// # Errors
/// As for every statement.
pub async fn append(store: &Store, writing: Writing, messages: &[NewMessage<'_>]) -> Result<Vec<Place>, StoreError> {
    let statement = Append {
        role: messages.iter().map(|message| message.role.as_str()).collect(),
        content: messages.iter().map(|message| message.content).collect(),
        model: messages.iter().map(|message| message.model).collect(),
        tokens: messages.iter().map(|message| message.tokens).collect(),
        words: messages.iter().map(|message| words::document(writing.user, message.content)).collect(),
        now: writing.now,
        at: writing.at,
        turn: writing.turn,
        session: writing.session.0,
        user: writing.user.0,
        lifetime: PhantomData,
    };
    let mut connection = store.get().await?;
    let written: Vec<(i64, DateTime<Utc>)> = statement.load(&mut connection).await?;
    Ok(written.into_iter().map(|(id, at)| Place { at, id }).collect())
}

/// The session's newest messages, as many as the slice takes. Whose the session is, the caller knows.
///
/// # Errors
/// As for every statement.
pub async fn newest(store: &Store, session: SessionId, slice: Slice) -> Result<Messages, StoreError> {
    type Row = (i64, i64, String, String, Option<String>, i64, DateTime<Utc>, i64);
    let before = slice.before.unwrap_or(Place { at: DateTime::<Utc>::MAX_UTC, id: i64::MAX });
    let statement = Newest {
        session: session.0,
        before_at: before.at,
        before_id: before.id,
        limit: slice.messages_max,
        messages_max: slice.messages_max,
        bytes_max: slice.bytes_max,
        lifetime: PhantomData,
    };
    let mut connection = store.get().await?;
    let rows: Vec<Row> = statement.load(&mut connection).await?;
    let found = rows.last().map_or(0, |row| row.7);
    let has_more = found > i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let message = |(id, session_id, role, content, model, tokens, created_at, _): Row| MessageRow {
        id,
        session_id,
        role,
        content,
        model,
        tokens,
        created_at,
    };
    Ok(Messages { rows: rows.into_iter().rev().map(message).collect(), has_more })
}
