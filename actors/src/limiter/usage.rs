//! What is used and what is left, as the doors and the headers show it.

use super::refusal::Measure;
use super::rules::windows;
use super::tally::Tally;
use super::window::Use;
use crate::identity::RateLimits;

/// A key's three windows against its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub limits: RateLimits,
    pub minute: Use,
    pub hour: Use,
    pub day: Use,
    /// Calls under way.
    pub under_way: i64,
    /// The user's, over all keys.
    pub user_day: Use,
    pub user_month: Use,
    pub requests: Left,
    pub tokens: Left,
}

/// The tightest of some windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub limit: i64,
    /// Not negative.
    pub remaining: i64,
    /// When the window ends, in Unix seconds.
    pub reset_s: i64,
}

impl Usage {
    pub(super) fn of(limits: &RateLimits, key: &Tally, user: &Tally) -> Self {
        Self {
            limits: *limits,
            minute: key.minute.used(),
            hour: key.hour.used(),
            day: key.day.used(),
            under_way: key.under_way,
            user_day: user.day.used(),
            user_month: user.month.used(),
            requests: tightest(limits, key, Measure::Requests),
            tokens: tightest(limits, key, Measure::Tokens),
        }
    }
}

/// The window with the least left; of several the one that ends last, as nothing helps before that.
fn tightest(limits: &RateLimits, tally: &Tally, measure: Measure) -> Left {
    let left = windows(limits, tally, measure).map(|(_, limit, window)| {
        let used = window.used();
        let used = if measure == Measure::Requests { used.requests } else { used.tokens };
        Left { limit, remaining: limit.saturating_sub(used).max(0), reset_s: window.end_s() }
    });
    let [minute, hour, day] = left;
    [hour, day].into_iter().fold(minute, |least, next| if next.remaining <= least.remaining { next } else { least })
}
