//! How much of everything (decisions 18, 19).

use super::{ConfigError, Reader};
use secrecy::SecretString;

/// `MAX_BODY_BYTES`, `REGISTER_PER_HOUR`, `RATE_LIMIT_*`, `PLAN_LIMITS`, `REDIS_URL`.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// `MAX_BODY_BYTES`, 32 MiB.
    pub body_bytes_max: usize,
    /// `REGISTER_PER_HOUR`, 20 per client address; 0 = no limit.
    pub register_per_hour: u32,
    pub rates: RateLimitDefaults,
    /// `RATE_LIMIT_ADDRESS_PER_MINUTE`, 60,000: requests of one client address at all doors; 0 = no limit. Generous, because
    /// behind a proxy that is not in `TRUSTED_PROXIES` all clients have one address.
    pub address_per_minute: i64,
    /// `PLAN_LIMITS`, `on`; `off`: plans are names and prices, and bind nobody.
    pub plans: bool,
    /// `REDIS_URL`: where replicas decide on limits together. Unset: each in its memory, and what the others count shows
    /// within two seconds.
    pub redis_url: Option<SecretString>,
}

/// A new user's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitDefaults {
    pub requests_per_minute: i64,
    pub requests_per_hour: i64,
    pub requests_per_day: i64,
    pub tokens_per_minute: i64,
    pub tokens_per_hour: i64,
    pub tokens_per_day: i64,
    /// `RATE_LIMIT_BURST`.
    pub burst: i64,
    /// `RATE_LIMIT_CONCURRENCY`.
    pub concurrency: i64,
}

/// More is no limit; and sums of windows must not overflow.
const RATE_MAX: i64 = 1_000_000_000_000;

impl LimitSettings {
    pub(super) fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            body_bytes_max: env.number("MAX_BODY_BYTES", 32 << 20, 1_024..=1 << 30)?,
            register_per_hour: env.number("REGISTER_PER_HOUR", 20, 0..=1_000_000)?,
            rates: RateLimitDefaults::read(env)?,
            address_per_minute: env.number("RATE_LIMIT_ADDRESS_PER_MINUTE", 60_000, 0..=RATE_MAX)?,
            plans: on_or_off(env, "PLAN_LIMITS")?,
            redis_url: redis_url(env, "REDIS_URL")?,
        })
    }
}

fn redis_url(env: &Reader<'_>, name: &str) -> Result<Option<SecretString>, ConfigError> {
    let Some(text) = env.text(name) else { return Ok(None) };
    if text.starts_with("redis://") && redis::Client::open(text.as_str()).is_ok() {
        return Ok(Some(text.into()));
    }
    Err(ConfigError::wrong_secret(name, &text, "an address such as redis://user:password@host:6379/0"))
}

fn on_or_off(env: &Reader<'_>, name: &str) -> Result<bool, ConfigError> {
    match env.text(name).as_deref() {
        None | Some("on") => Ok(true),
        Some("off") => Ok(false),
        Some(other) => Err(ConfigError::wrong(name, other, "on or off")),
    }
}

impl RateLimitDefaults {
    fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        let rate = |name: &str, default| env.number(name, default, 1..=RATE_MAX);
        Ok(Self {
            requests_per_minute: rate("RATE_LIMIT_REQUESTS_PER_MINUTE", 60)?,
            requests_per_hour: rate("RATE_LIMIT_REQUESTS_PER_HOUR", 1_000)?,
            requests_per_day: rate("RATE_LIMIT_REQUESTS_PER_DAY", 10_000)?,
            tokens_per_minute: rate("RATE_LIMIT_TOKENS_PER_MINUTE", 10_000)?,
            tokens_per_hour: rate("RATE_LIMIT_TOKENS_PER_HOUR", 100_000)?,
            tokens_per_day: rate("RATE_LIMIT_TOKENS_PER_DAY", 1_000_000)?,
            burst: rate("RATE_LIMIT_BURST", 60)?,
            concurrency: rate("RATE_LIMIT_CONCURRENCY", 10)?,
        })
    }
}
