//! What a new user may try for how long (decision 2).

use super::{ConfigError, Reader};

/// `TRIAL_DAYS`, `TRIAL_TOKENS`, `TRIAL_REQUESTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialSettings {
    /// `TRIAL_DAYS`, 3; 0 switches trials off.
    pub days: u32,
    /// `TRIAL_TOKENS`, 100,000.
    pub tokens: i64,
    /// `TRIAL_REQUESTS`, 1,000.
    pub requests: i64,
}

impl TrialSettings {
    pub(super) fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            days: env.number("TRIAL_DAYS", 3, 0..=3_650)?,
            tokens: env.number("TRIAL_TOKENS", 100_000, 0..=1_000_000_000_000)?,
            requests: env.number("TRIAL_REQUESTS", 1_000, 0..=1_000_000_000_000)?,
        })
    }
}
