//! The log: to stderr, as text for people or one JSON object a line for machines.

use crate::config::{LogFormat, TelemetrySettings};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Unless `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "info,actix_server=warn";

/// Starts the log. A second call in one process changes nothing.
///
/// # Errors
/// A `RUST_LOG` that is no filter; as one line.
pub fn start(settings: TelemetrySettings, rust_log: Option<String>) -> Result<(), String> {
    let directives = rust_log.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| DEFAULT_FILTER.to_owned());
    let filter = EnvFilter::try_new(&directives)
        .map_err(|error| format!("RUST_LOG: got {directives:?}, wants a filter such as info,tollgate=debug ({error})"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that a log has started already.
    let _ = match settings.log_format {
        LogFormat::Text => log.finish().try_init(),
        LogFormat::Json => log.json().flatten_event(true).finish().try_init(),
    };
    Ok(())
}
