//! What is done about gateways that fail: `RETRY_*` and `BREAKER_*`.

use super::{ConfigError, Reader};
use std::time::Duration;

/// How often a call is tried, and when a gateway is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// `RETRY_ATTEMPTS`, 3: requests to gateways for one call; 0 and 1: no retries.
    pub attempts: u16,
    /// `RETRY_BACKOFF_MS`, 100: before the same gateway is asked again; doubles.
    pub backoff: Duration,
    /// `RETRY_WAIT_MAX`, 2 s: the longest `Retry-After` that is waited for with the caller.
    pub wait_max: Duration,
    /// `RETRY_BUDGET_PERCENT`, 20: retries for a hundred calls of the last ten seconds, in this process.
    pub budget_percent: u32,
    /// `RETRY_BUDGET_PER_SECOND`, 10: retries that are allowed besides.
    pub budget_per_second: u32,
    /// `BREAKER_FAILURES`, 5: failures in a row that open a breaker; 0: breakers are off.
    pub failures: u32,
    /// `BREAKER_FAILURE_PERCENT`, 50: the share of at least 20 outcomes within `BREAKER_WINDOW` that opens it.
    pub failure_percent: u32,
    /// `BREAKER_WINDOW`, 30 s.
    pub window: Duration,
    /// `BREAKER_REST`, 5 s: until a probe; doubles with each that fails.
    pub rest: Duration,
    /// `BREAKER_REST_MAX`, 60 s; also the longest rest that a gateway's `Retry-After` can make.
    pub rest_max: Duration,
    /// `BREAKER_KEY_REST`, 30 s: the first rest of a gateway that refuses our key.
    pub key_rest: Duration,
}

impl UpstreamSettings {
    pub(super) fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            attempts: env.number("RETRY_ATTEMPTS", 3, 0..=100)?,
            backoff: Duration::from_millis(env.number("RETRY_BACKOFF_MS", 100, 0..=60_000)?),
            wait_max: env.seconds("RETRY_WAIT_MAX", 2, 0..=300)?,
            budget_percent: env.number("RETRY_BUDGET_PERCENT", 20, 0..=1_000)?,
            budget_per_second: env.number("RETRY_BUDGET_PER_SECOND", 10, 0..=100_000)?,
            failures: env.number("BREAKER_FAILURES", 5, 0..=1_000_000)?,
            failure_percent: env.number("BREAKER_FAILURE_PERCENT", 50, 1..=100)?,
            window: env.seconds("BREAKER_WINDOW", 30, 0..=3_600)?,
            rest: env.seconds("BREAKER_REST", 5, 0..=3_600)?,
            rest_max: env.seconds("BREAKER_REST_MAX", 60, 0..=3_600)?,
            key_rest: env.seconds("BREAKER_KEY_REST", 30, 0..=3_600)?,
        })
    }
}
