//! Why a call is not let through, in the contract's words (`contract.md` A.5).

use super::window::{Use, WindowKind};
use crate::identity::TrialRefusal;
use crate::identity::keys::Environment;
use std::fmt;
use std::time::Duration;

/// Whose limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Key,
    /// All keys of the user together.
    User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Requests,
    Tokens,
}

impl Measure {
    /// Is there room for one more request, or for so many more tokens?
    pub(super) const fn fits(self, used: Use, tokens: i64, limit: i64) -> bool {
        match self {
            Self::Requests => used.requests < limit,
            Self::Tokens => used.tokens.saturating_add(tokens) <= limit,
        }
    }

    const fn singular(self) -> &'static str {
        match self {
            Self::Requests => "request",
            Self::Tokens => "token",
        }
    }
}

/// The first limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Concurrency {
        limit: i64,
    },
    PlanConcurrency {
        limit: i64,
    },
    Burst {
        wait_ms: i64,
    },
    Window {
        scope: Scope,
        kind: WindowKind,
        measure: Measure,
        limit: i64,
        wait_ms: i64,
        /// The request alone is more than the limit.
        is_hopeless: bool,
    },
    Plan {
        kind: WindowKind,
        measure: Measure,
        limit: i64,
        environment: Environment,
        wait_ms: i64,
    },
    Trial(TrialRefusal),
}

/// A call that ends makes room: nobody knows when, a second is a good guess.
const CONCURRENCY_WAIT: Duration = Duration::from_secs(1);

impl Refusal {
    /// When it is worth trying again; `None` when waiting does not help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Concurrency { .. } | Self::PlanConcurrency { .. } => Some(CONCURRENCY_WAIT),
            Self::Burst { wait_ms } | Self::Window { wait_ms, .. } | Self::Plan { wait_ms, .. } => {
                Some(Duration::from_millis(u64::try_from(*wait_ms).unwrap_or(0)))
            }
            Self::Trial(_) => None,
        }
    }

    /// Can the same request be tried again soon? Not within the day (decision 19).
    #[must_use]
    pub const fn is_curable(&self) -> bool {
        match self {
            Self::Concurrency { .. } | Self::PlanConcurrency { .. } | Self::Burst { .. } => true,
            Self::Window { kind, is_hopeless, .. } => matches!(kind, WindowKind::Minute | WindowKind::Hour) && !*is_hopeless,
            Self::Plan { .. } | Self::Trial(_) => false,
        }
    }

    /// Is it the plan's limit?
    #[must_use]
    pub const fn is_of_plan(&self) -> bool {
        matches!(self, Self::PlanConcurrency { .. } | Self::Plan { .. })
    }

    /// Its kind in the table of alerts, and the limit that was reached; `None` for what an operator need not hear.
    pub(super) const fn alert(&self) -> Option<(&'static str, i64)> {
        match self {
            Self::Concurrency { limit } => Some(("concurrency", *limit)),
            Self::PlanConcurrency { limit } => Some(("plan_concurrency", *limit)),
            Self::Burst { .. } => Some(("burst", 0)),
            Self::Window { kind, measure, limit, .. } => Some((window_alert(*kind, *measure), *limit)),
            Self::Plan { kind, measure, limit, .. } => Some((plan_alert(*kind, *measure), *limit)),
            Self::Trial(_) => None,
        }
    }

    /// The window that a refusal of its kind is told of once.
    pub(super) const fn alert_window(&self) -> WindowKind {
        match self {
            Self::Window { kind, .. } | Self::Plan { kind, .. } => *kind,
            _ => WindowKind::Minute,
        }
    }
}

const fn window_alert(kind: WindowKind, measure: Measure) -> &'static str {
    match (measure, kind) {
        (Measure::Requests, WindowKind::Minute) => "requests_per_minute",
        (Measure::Requests, WindowKind::Hour) => "requests_per_hour",
        (Measure::Requests, _) => "requests_per_day",
        (Measure::Tokens, WindowKind::Minute) => "tokens_per_minute",
        (Measure::Tokens, WindowKind::Hour) => "tokens_per_hour",
        (Measure::Tokens, _) => "tokens_per_day",
    }
}

const fn plan_alert(kind: WindowKind, measure: Measure) -> &'static str {
    match (measure, kind) {
        (Measure::Requests, WindowKind::Month) => "plan_requests_per_month",
        (Measure::Requests, _) => "plan_requests_per_day",
        (Measure::Tokens, WindowKind::Month) => "plan_tokens_per_month",
        (Measure::Tokens, _) => "plan_tokens_per_day",
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Concurrency { .. } => f.write_str("Rate limit exceeded: Concurrency limit exceeded"),
            Self::PlanConcurrency { limit } => write!(f, "Plan limit exceeded: Concurrent request limit exceeded ({limit})"),
            Self::Burst { .. } => f.write_str("Rate limit exceeded: Burst limit exceeded"),
            Self::Window { scope, kind, measure, .. } => {
                let over = if *scope == Scope::User { " over all keys" } else { "" };
                write!(f, "Rate limit exceeded: {kind:?} {} limit exceeded{over}", measure.singular())
            }
            Self::Plan { kind, measure, limit, environment, .. } => {
                let period = if *kind == WindowKind::Month { "Monthly" } else { "Daily" };
                let (measure, tag) = (measure.singular(), environment.tag());
                write!(f, "Plan limit exceeded: {period} {measure} limit exceeded ({limit}) for {tag} environment")
            }
            Self::Trial(refusal) => refusal.fmt(f),
        }
    }
}
