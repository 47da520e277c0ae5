//! What the model gateways' adapters need of the settings.

use secrecy::SecretString;
use std::time::Duration;
use tollgate_domain::GatewayId;

/// One gateway that is on.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    pub id: GatewayId,
    /// With its version part, with or without a slash at its end: `https://openrouter.ai/api/v1`.
    pub base_url: String,
    pub api_key: SecretString,
    /// Who calls, for gateways that want to know (OpenRouter's `HTTP-Referer` and `X-Title`). Empty: not told.
    pub site_url: String,
    pub site_name: String,
}

/// The four time-outs of an upstream call (decision 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutSettings {
    pub connect: Duration,
    /// From the call's begin to the first byte of the answer's body.
    pub first_byte: Duration,
    pub between_bytes: Duration,
    /// From the call's begin to the last byte.
    pub total: Duration,
}
