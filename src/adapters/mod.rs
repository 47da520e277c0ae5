//! Doors out: each fulfils a port of `actors`, and knows one outside service's wire format.

pub mod client;
pub mod gateways;
pub mod privy;
pub mod redis;
pub mod settings;

mod answer;
mod dialects;
mod fault;
mod gateway;
mod openai_compatible;
mod price_text;
mod providers;
mod transport;
mod upstream_body;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub use gateways::Gateways;
pub use settings::{GatewaySettings, TimeoutSettings};

/// Why an adapter can't be built: a setting is wrong. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    #[error("{what}: {reason}")]
    Setting { what: &'static str, reason: String },
    #[error("no HTTP client: {0}")]
    Client(#[source] reqwest::Error),
    #[error("no root certificates: {0}")]
    Certificates(#[source] rustls::Error),
}
