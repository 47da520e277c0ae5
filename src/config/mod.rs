//! Every setting, its default and its check: one file per section. Settings are environment variables; an empty one counts
//! as unset.
//!
//! The first wrong value stops the start, with one line that names the setting, what it got and what it wants.

mod database;
mod gateways;
mod limits;
mod money;
mod privy;
mod reader;
mod retention;
mod secrets;
mod server;
mod telemetry;
mod timeouts;
mod trial;
mod upstreams;

pub use database::DatabaseSettings;
pub use gateways::{GatewaySettings, GatewaysSettings};
pub use limits::{LimitSettings, RateLimitDefaults};
pub use money::MoneySettings;
pub use privy::PrivySettings;
pub use reader::{ConfigError, Reader};
pub use retention::RetentionSettings;
pub use secrets::SecretSettings;
pub use server::{CorsOrigins, ServerSettings};
pub use telemetry::{LogFormat, TelemetrySettings};
pub use timeouts::TimeoutSettings;
pub use trial::TrialSettings;
pub use upstreams::UpstreamSettings;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    pub server: ServerSettings,
    pub database: DatabaseSettings,
    pub secrets: SecretSettings,
    pub gateways: GatewaysSettings,
    pub limits: LimitSettings,
    pub money: MoneySettings,
    /// `None`: nobody signs in with Privy.
    pub privy: Option<PrivySettings>,
    pub trial: TrialSettings,
    pub retention: RetentionSettings,
    pub timeouts: TimeoutSettings,
    pub upstreams: UpstreamSettings,
    pub telemetry: TelemetrySettings,
}

impl Settings {
    /// Reads all settings through `lookup`, which is `std::env::var(name).ok()` outside tests.
    ///
    /// # Errors
    /// The first setting that is wrong, or missing and required.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = Reader::new(&lookup);
        Ok(Self {
            server: ServerSettings::read(&env)?,
            database: DatabaseSettings::read(&env)?,
            secrets: SecretSettings::read(&env)?,
            gateways: GatewaysSettings::read(&env)?,
            limits: LimitSettings::read(&env)?,
            money: MoneySettings::read(&env)?,
            privy: PrivySettings::read(&env)?,
            trial: TrialSettings::read(&env)?,
            retention: RetentionSettings::read(&env)?,
            timeouts: TimeoutSettings::read(&env)?,
            upstreams: UpstreamSettings::read(&env)?,
            telemetry: TelemetrySettings::read(&env)?,
        })
    }
}

#[cfg(test)]
mod tests;
