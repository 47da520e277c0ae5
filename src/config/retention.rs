//! How long what is kept.

use super::{ConfigError, Reader};

/// `ACTIVITY_RETENTION_DAYS`, `UNPAID_HOLD_RETENTION_DAYS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionSettings {
    /// `ACTIVITY_RETENTION_DAYS`, 400: what the activity log shows. Calls stay in the books, and all sums by day stay.
    pub activity_days: u32,
    /// `UNPAID_HOLD_RETENTION_DAYS`, 30: holds of calls that cost nothing.
    pub unpaid_hold_days: u32,
}

impl RetentionSettings {
    pub(super) fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            activity_days: env.number("ACTIVITY_RETENTION_DAYS", 400, 1..=36_500)?,
            // A settle that waits in a journal finds its hold only while that is kept.
            unpaid_hold_days: env.number("UNPAID_HOLD_RETENTION_DAYS", 30, 2..=36_500)?,
        })
    }
}
