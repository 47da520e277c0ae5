//! What users did, for their activity page: its log and its sums.
//!
//! A call's line in the log is its usage record; all else is in `activity_events`, and the view `activity` shows both. Sums are in
//! `activity_daily` and `activity_totals`: an event's from its own statement on, a call's from the next [`fold()`] on. Until then the
//! views `activity_day_sums` and `activity_key_sums`, which a user's pages read, count it where it stands. So the sums are never
//! behind the log or beside it; pages of any length of history read sums for their totals and a few rows by an index.

mod batch;
mod fold;
mod log;
mod retention;
mod sums;

pub use batch::insert_batch;
pub use fold::fold;
pub use log::{DayCount, LogEntry, LogFilter, LogPosition, days, page};
pub use retention::{forget_batches, forget_rows};
pub use sums::{KeyDay, KeySum, Sum, Sums, SumsFilter, key_days, key_sums, sums, sums_of};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use tollgate_domain::{KeyId, Nanos, UserId};

/// The action that counts in all sums: a model call.
pub const CHAT_COMPLETION: &str = "chat_completion";
/// Someone signed in.
pub const USER_LOGIN: &str = "user_login";

/// What was done with a chat session.
pub const SESSION_CREATED: &str = "session_created";
pub const SESSION_UPDATED: &str = "session_updated";
pub const SESSION_DELETED: &str = "session_deleted";
pub const MESSAGE_SENT: &str = "message_sent";

/// What an action is shown as that is no model call (`contract.md` A.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    pub model: &'static str,
    pub provider: &'static str,
    pub app: &'static str,
}

impl Labels {
    #[must_use]
    pub fn of(action: &str) -> Self {
        match action {
            CHAT_COMPLETION => Self { model: "unknown", provider: "Other", app: "API" },
            USER_LOGIN => Self { model: "auth", provider: "Privy", app: "Auth" },
            _ => Self { model: "session", provider: "Chat History", app: "Chat" },
        }
    }
}

/// One line of the activity page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityRow {
    pub user: UserId,
    /// `chat_completion`, `session_created`, …: at most 100 characters.
    pub action: Cow<'static, str>,
    /// What it is shown as and filtered by: the model called, else `auth` or `session` (`contract.md` A.7).
    pub model: String,
    /// The model's maker, else `Privy` or `Chat History`.
    pub provider: Cow<'static, str>,
    /// A JSON object as text.
    pub details: String,
    pub at: DateTime<Utc>,
    /// What a chat completion adds to the sums, in a journal of an earlier server; `None` for everything else.
    pub call: Option<CallUse>,
}

impl ActivityRow {
    /// What is no model call. `details`: a JSON object as text.
    #[must_use]
    pub fn event(user: UserId, action: &'static str, details: String, at: DateTime<Utc>) -> Self {
        let labels = Labels::of(action);
        let (model, provider) = (labels.model.to_owned(), labels.provider.into());
        Self { user, action: action.into(), model, provider, details, at, call: None }
    }
}

/// What a call used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallUse {
    pub key: KeyId,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    #[serde(with = "tollgate_domain::money::integer")]
    pub cost: Nanos,
}
