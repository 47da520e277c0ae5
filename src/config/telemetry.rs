//! Logs.

use super::{ConfigError, Reader};
use std::io::IsTerminal;

/// `LOG_FORMAT`. What is logged, `RUST_LOG` says (`info` when unset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelemetrySettings {
    pub log_format: LogFormat,
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
    /// A `LOG_FORMAT` that is neither.
    pub fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        let log_format = match env.text("LOG_FORMAT").as_deref() {
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            None if std::io::stderr().is_terminal() => LogFormat::Text,
            None => LogFormat::Json,
            Some(other) => return Err(ConfigError::wrong("LOG_FORMAT", other, "text or json")),
        };
        Ok(Self { log_format })
    }
}
