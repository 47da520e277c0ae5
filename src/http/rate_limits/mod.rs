//! A user's doors to the limits: what they are, what is used of them, and how to lower them.

mod limit;
mod list;
mod set;
mod usage;

pub use limit::{__path_user_limit, user_limit};
pub use list::{__path_user_rate_limits, user_rate_limits};
pub use set::{__path_bulk_update_rate_limits, __path_update_rate_limits, bulk_update_rate_limits, update_rate_limits};
pub use usage::{__path_rate_limit_usage, rate_limit_usage};

use super::error::ApiError;
use serde::{Deserialize, Serialize};
use tollgate_actors::identity::{NewLimits, RateLimits};
use tollgate_actors::limiter::Use;
use utoipa::ToSchema;

/// More is no limit, and sums of windows must not overflow.
const LIMIT_MAX: i64 = 1_000_000_000_000;

/// Requests and tokens per minute, hour and day
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
pub struct SixLimits {
    requests_per_minute: i64,
    requests_per_hour: i64,
    requests_per_day: i64,
    tokens_per_minute: i64,
    tokens_per_hour: i64,
    tokens_per_day: i64,
}

impl SixLimits {
    /// # Errors
    /// 400 for a negative or absurd one.
    fn check(&self) -> Result<(), ApiError> {
        let six = [
            self.requests_per_minute,
            self.requests_per_hour,
            self.requests_per_day,
            self.tokens_per_minute,
            self.tokens_per_hour,
            self.tokens_per_day,
        ];
        if six.into_iter().all(|limit| (0..=LIMIT_MAX).contains(&limit)) {
            return Ok(());
        }
        Err(ApiError::bad_request(format!("Rate limits must be from 0 to {LIMIT_MAX}")))
    }
}

impl From<RateLimits> for SixLimits {
    fn from(limits: RateLimits) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            requests_per_hour: limits.requests_per_hour,
            requests_per_day: limits.requests_per_day,
            tokens_per_minute: limits.tokens_per_minute,
            tokens_per_hour: limits.tokens_per_hour,
            tokens_per_day: limits.tokens_per_day,
        }
    }
}

impl From<SixLimits> for NewLimits {
    fn from(limits: SixLimits) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            requests_per_hour: limits.requests_per_hour,
            requests_per_day: limits.requests_per_day,
            tokens_per_minute: limits.tokens_per_minute,
            tokens_per_hour: limits.tokens_per_hour,
            tokens_per_day: limits.tokens_per_day,
            burst: None,
            concurrency: None,
        }
    }
}

/// Requests and tokens
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct Amounts {
    requests: i64,
    tokens: i64,
}

impl From<Use> for Amounts {
    /// A correction may come before what it corrects is known: nothing is shown as less than nothing.
    fn from(used: Use) -> Self {
        Self { requests: used.requests.max(0), tokens: used.tokens.max(0) }
    }
}

impl Amounts {
    fn left_of(self, limit: Self) -> Self {
        Self {
            requests: limit.requests.saturating_sub(self.requests).max(0),
            tokens: limit.tokens.saturating_sub(self.tokens).max(0),
        }
    }
}
