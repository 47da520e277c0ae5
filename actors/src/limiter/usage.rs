//! What is used and what is left, as the doors and the headers show it.

use super::refusal::Measure;
use super::rules::{Rules, windows, windows_of_plan};
use super::tally::Tally;
use super::window::{Use, Window};

/// A key's three windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub minute: Use,
    pub hour: Use,
    pub day: Use,
    /// Calls under way.
    pub under_way: i64,
    /// The user's, over all keys.
    pub user_month: Use,
}

impl Usage {
    pub(super) fn of(key: &Tally, user: &Tally) -> Self {
        Self {
            minute: key.minute.used(),
            hour: key.hour.used(),
            day: key.day.used(),
            under_way: key.under_way,
            user_month: user.month.used(),
        }
    }
}

/// What is left to a caller, of whichever limit has the least: the key's, the user's over all keys, or the plan's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub requests: Left,
    pub tokens: Left,
}

impl Standing {
    pub(super) fn of(rules: &Rules, key: &Tally, user: &Tally) -> Self {
        let tightest = |measure| tightest(rules, key, user, measure);
        Self { requests: tightest(Measure::Requests), tokens: tightest(Measure::Tokens) }
    }
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

impl Left {
    fn of(measure: Measure, limit: i64, window: &Window) -> Self {
        let used = window.used();
        let used = if measure == Measure::Requests { used.requests } else { used.tokens };
        Self { limit, remaining: limit.saturating_sub(used).max(0), reset_s: window.end_s() }
    }

    /// The one with less left; of two that are even the one that ends last, as nothing helps before that.
    const fn tighter(self, other: Self) -> Self {
        let is_other = other.remaining < self.remaining || other.remaining == self.remaining && other.reset_s > self.reset_s;
        if is_other { other } else { self }
    }
}

fn tightest(rules: &Rules, key: &Tally, user: &Tally, measure: Measure) -> Left {
    let left = |(_, limit, window): (_, i64, &Window)| Left::of(measure, limit, window);
    let [minute, hour, day] = windows(&rules.key, key, measure).map(left);
    let of_user = windows(&rules.user, user, measure).map(left);
    let of_plan = windows_of_plan(rules.plan, user).into_iter().filter(|(_, of, ..)| *of == measure);
    let of_plan = of_plan.map(|(_, _, limit, window)| Left::of(measure, limit, window));
    [hour, day].into_iter().chain(of_user).chain(of_plan).fold(minute, Left::tighter)
}
