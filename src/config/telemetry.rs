//! Logs and metrics.

use super::{ConfigError, Reader};
use std::io::IsTerminal;

/// `LOG_FORMAT`, `METRICS`. What is logged, `RUST_LOG` says (`info` when unset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelemetrySettings {
    pub log_format: LogFormat,
    /// `METRICS`, `admin`: `/metrics` is for those who may use the admin doors; `public`: for everyone who reaches the server.
    pub metrics_are_public: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl TelemetrySettings {
    /// Public, because the log comes before the other settings.
    ///
    /// # Errors
    /// A `LOG_FORMAT` or `METRICS` that is neither.
    pub fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        let log_format = match env.text("LOG_FORMAT").as_deref() {
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            None if std::io::stderr().is_terminal() => LogFormat::Text,
            None => LogFormat::Json,
            Some(other) => return Err(ConfigError::wrong("LOG_FORMAT", other, "text or json")),
        };
        let metrics_are_public = match env.text("METRICS").as_deref() {
            None | Some("admin") => false,
            Some("public") => true,
            Some(other) => return Err(ConfigError::wrong("METRICS", other, "admin or public")),
        };
        Ok(Self { log_format, metrics_are_public })
    }
}
