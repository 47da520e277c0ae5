//! A line of the log, as clients read it.

use crate::http::dollars;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tollgate_domain::{Nanos, UserId};
use tollgate_store::activity::{Labels, LogEntry};
use utoipa::ToSchema;

/// One line of the log
#[derive(Serialize, ToSchema)]
pub struct LogRow {
    pub(super) id: i64,
    user_id: i64,
    pub(super) timestamp: DateTime<Utc>,
    /// `chat_completion`, `user_login`, `session_created`, …
    pub(super) action: String,
    pub(super) model: String,
    pub(super) provider: String,
    pub(super) tokens: i64,
    /// Dollars.
    #[schema(value_type = f64)]
    pub(super) cost: Nanos,
    /// Tokens per second.
    pub(super) speed: f64,
    pub(super) finish_reason: String,
    /// `API`, `Auth` or `Chat`.
    pub(super) app: String,
    #[schema(value_type = Object)]
    pub(super) details: Box<RawValue>,
    /// The details once more, under the name that older clients read.
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
    created_at: DateTime<Utc>,
}

impl LogRow {
    /// Derived by the table of `contract.md` A.7.
    pub(super) fn of(user: UserId, entry: LogEntry) -> Self {
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
