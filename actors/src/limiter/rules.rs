//! Which limits bind a caller, and what each says when it is reached. Plain functions over what has been counted.

use super::refusal::{Measure, Refusal, Scope};
use super::tally::Tally;
use super::window::{Window, WindowKind};
use crate::identity::keys::Environment;
use crate::identity::{Caller, PlanLimits, RateLimits};
use chrono::{DateTime, Utc};

/// Everything that binds one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub key: RateLimits,
    /// Over all keys of the user, so that many keys are no more than one: the key's limits, or the defaults where those are
    /// higher.
    pub user: RateLimits,
    /// `None`: plans don't limit here.
    pub plan: Option<PlanLimits>,
    pub environment: Environment,
}

impl Rules {
    pub(super) fn of(caller: &Caller, defaults: &RateLimits, plans_limit: bool, now: DateTime<Utc>) -> Self {
        Self {
            key: caller.limits,
            user: higher(&caller.limits, defaults),
            plan: plans_limit.then(|| share(caller.plan.limits(now), caller.environment)),
            environment: caller.environment,
        }
    }

    /// No limit is reached, or the first that is: calls at the same time, then what is counted.
    pub(super) fn check(&self, key: &Tally, user: &Tally, tokens: i64, now_ms: i64) -> Result<(), Refusal> {
        self.check_concurrency(key, user)?;
        self.check_counts(key, user, tokens, now_ms)
    }

    /// No limit of what is counted is reached, or the first that is: the burst, the windows, the plan.
    pub(super) fn check_counts(&self, key: &Tally, user: &Tally, tokens: i64, now_ms: i64) -> Result<(), Refusal> {
        if let Some(wait_ms) = key.bucket.wait_ms(self.key.burst, now_ms) {
            return Err(Refusal::Burst { limit: self.key.burst, wait_ms });
        }
        let both = [(Scope::Key, &self.key, key), (Scope::User, &self.user, user)];
        for measure in [Measure::Requests, Measure::Tokens] {
            for (scope, limits, tally) in both {
                check_windows(scope, measure, limits, tally, tokens, now_ms)?;
            }
        }
        self.check_plan(user, tokens, now_ms)
    }

    /// There is room for one more call at the same time.
    pub(super) fn check_concurrency(&self, key: &Tally, user: &Tally) -> Result<(), Refusal> {
        if key.under_way >= self.key.concurrency {
            return Err(Refusal::Concurrency { limit: self.key.concurrency });
        }
        match self.plan {
            Some(plan) if user.under_way >= plan.concurrency => Err(Refusal::PlanConcurrency { limit: plan.concurrency }),
            _ => Ok(()),
        }
    }

    fn check_plan(&self, user: &Tally, tokens: i64, now_ms: i64) -> Result<(), Refusal> {
        if self.plan.is_none() {
            return Ok(());
        }
        for (kind, measure, limit, window) in windows_of_plan(self.plan, user) {
            if !measure.fits(window.used(), tokens, limit) {
                let wait_ms = wait_ms(window, now_ms);
                return Err(Refusal::Plan { kind, measure, limit, environment: self.environment, wait_ms });
            }
        }
        Ok(())
    }
}

fn check_windows(
    scope: Scope,
    measure: Measure,
    limits: &RateLimits,
    tally: &Tally,
    tokens: i64,
    now_ms: i64,
) -> Result<(), Refusal> {
    for (kind, limit, window) in windows(limits, tally, measure) {
        if !measure.fits(window.used(), tokens, limit) {
            let is_hopeless = measure == Measure::Tokens && tokens > limit;
            return Err(Refusal::Window { scope, kind, measure, limit, wait_ms: wait_ms(window, now_ms), is_hopeless });
        }
    }
    Ok(())
}

/// Minute, hour and day with their limits.
pub(super) fn windows<'a>(limits: &RateLimits, tally: &'a Tally, measure: Measure) -> [(WindowKind, i64, &'a Window); 3] {
    let [minute, hour, day] = match measure {
        Measure::Requests => [limits.requests_per_minute, limits.requests_per_hour, limits.requests_per_day],
        Measure::Tokens => [limits.tokens_per_minute, limits.tokens_per_hour, limits.tokens_per_day],
    };
    [(WindowKind::Minute, minute, &tally.minute), (WindowKind::Hour, hour, &tally.hour), (WindowKind::Day, day, &tally.day)]
}

/// Day and month with the plan's limits.
pub(super) fn windows_of_plan(plan: Option<PlanLimits>, user: &Tally) -> [(WindowKind, Measure, i64, &Window); 4] {
    let of = |limit: fn(PlanLimits) -> i64| plan.map_or(i64::MAX, limit);
    [
        (WindowKind::Day, Measure::Requests, of(|plan| plan.requests_per_day), &user.day),
        (WindowKind::Month, Measure::Requests, of(|plan| plan.requests_per_month), &user.month),
        (WindowKind::Day, Measure::Tokens, of(|plan| plan.tokens_per_day), &user.day),
        (WindowKind::Month, Measure::Tokens, of(|plan| plan.tokens_per_month), &user.month),
    ]
}

const fn wait_ms(window: &Window, now_ms: i64) -> i64 {
    window.end_s().saturating_mul(1_000).saturating_sub(now_ms)
}

fn higher(one: &RateLimits, other: &RateLimits) -> RateLimits {
    RateLimits {
        requests_per_minute: one.requests_per_minute.max(other.requests_per_minute),
        requests_per_hour: one.requests_per_hour.max(other.requests_per_hour),
        requests_per_day: one.requests_per_day.max(other.requests_per_day),
        tokens_per_minute: one.tokens_per_minute.max(other.tokens_per_minute),
        tokens_per_hour: one.tokens_per_hour.max(other.tokens_per_hour),
        tokens_per_day: one.tokens_per_day.max(other.tokens_per_day),
        burst: one.burst.max(other.burst),
        concurrency: one.concurrency.max(other.concurrency),
    }
}

/// Keys that are not live have half of the plan (`contract.md` A.5), but at least one call at a time.
fn share(plan: PlanLimits, environment: Environment) -> PlanLimits {
    if environment == Environment::Live {
        return plan;
    }
    PlanLimits {
        requests_per_day: plan.requests_per_day / 2,
        requests_per_month: plan.requests_per_month / 2,
        tokens_per_day: plan.tokens_per_day / 2,
        tokens_per_month: plan.tokens_per_month / 2,
        concurrency: (plan.concurrency / 2).max(1),
    }
}
