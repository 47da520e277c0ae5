//! A caller: what every request needs to know of who calls.

use super::checks::{Scopes, list_of, parse_domain, parse_net};
use super::keys::Environment;
use super::meters::{KeyMeter, Spent, TrialMeter};
use crate::ledger::{Asset, UserAccounts};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use std::sync::Arc;
use tollgate_domain::{Budget, KeyId, PlanId, UserId};
use tollgate_store::api_keys::CallerRow;
use tollgate_store::plans::{PlanRow, UserPlanRow};
pub use tollgate_store::rate_limits::RateLimits;
use tollgate_store::users::DollarAccounts;

/// Everything a request needs to know of its caller; a snapshot, shared, at most seconds old.
pub struct Caller {
    pub user: UserId,
    pub key: KeyId,
    pub key_name: String,
    pub masked_key: String,
    pub environment: Environment,
    pub username: String,
    pub email: String,
    pub is_admin: bool,
    /// Of the key and of its user.
    pub is_active: bool,
    pub accounts: UserAccounts,
    pub plan: Plan,
    pub limits: RateLimits,
    /// False: the settings' defaults.
    pub has_own_limits: bool,
    /// `trial`, `active`, `expired` or `cancelled`.
    pub subscription_status: String,
    /// `None` when the trial is over because the user pays, or there never was one.
    pub trial: Option<Trial>,
    pub scopes: Scopes,
    /// `None`: from anywhere.
    pub ip_allowlist: Option<Vec<IpNet>>,
    /// `None`: for any site. Lower-case hosts.
    pub domains: Option<Vec<String>>,
    /// `None`: any model.
    pub models: Option<Vec<String>>,
    pub expires_at: Option<DateTime<Utc>>,
    /// When the caller's secret is refused, as the key has another by now. `None`: it is the key's only one.
    pub secret_ends_at: Option<DateTime<Utc>>,
    /// What the key may spend.
    pub budget: Option<Budget>,
    pub max_requests: Option<i64>,
    pub(super) meter: KeyMeter,
}

impl Caller {
    /// Requests counted against the key's cap, as far as this replica knows.
    #[must_use]
    pub fn requests_used(&self) -> i64 {
        self.meter.requests_used()
    }

    pub(super) fn from_row(row: CallerRow, defaults: &CallerDefaults, trial: Option<Trial>) -> Self {
        let CallerRow { key, has_previous_secret, user, limits, plan, accounts } = row;
        let previous = Some(key.previous).filter(|_| has_previous_secret).unwrap_or_default();
        let id = UserId(user.id);
        Self {
            user: id,
            key: KeyId(key.id),
            key_name: key.key_name,
            masked_key: previous.previous_masked.unwrap_or(key.masked),
            environment: Environment::parse(&key.environment_tag).unwrap_or(Environment::Live),
            username: user.username,
            email: user.email,
            is_admin: user.is_admin,
            is_active: key.is_active && user.is_active,
            accounts: dollars_of(id, accounts),
            plan: Plan::from_rows(plan),
            has_own_limits: limits.is_some(),
            limits: limits.unwrap_or(defaults.limits),
            subscription_status: user.subscription_status,
            trial,
            scopes: Scopes::from_json(&key.scope_permissions),
            ip_allowlist: list_of(&key.ip_allowlist, parse_net),
            domains: list_of(&key.domain_referrers, parse_domain),
            models: list_of(&key.model_allowlist, |model| Some(model.to_owned())),
            expires_at: key.expiration_date,
            secret_ends_at: previous.previous_expires_at,
            budget: key.budget.budget(),
            max_requests: key.max_requests,
            meter: KeyMeter::new(KeyId(key.id), key.requests_used, key.max_requests.is_some()),
        }
    }
}

/// What a caller has who has nothing of their own.
#[derive(Clone, Copy, Debug)]
pub struct CallerDefaults {
    pub limits: RateLimits,
    pub trial: TrialTerms,
}

/// What a trial gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialTerms {
    /// 0 switches trials off.
    pub days: i64,
    pub tokens: i64,
    pub requests: i64,
}

/// A trial under way, or one whose time is over.
#[derive(Clone)]
pub struct Trial {
    pub expires_at: DateTime<Utc>,
    pub tokens_max: i64,
    pub requests_max: i64,
    pub(super) meter: Arc<TrialMeter>,
}

impl Trial {
    /// Tokens left, as far as this replica knows: others' use shows seconds later. Not negative.
    #[must_use]
    pub fn tokens_remaining(&self) -> i64 {
        self.tokens_max.saturating_sub(self.meter.spent().tokens).max(0)
    }

    /// Requests left, likewise.
    #[must_use]
    pub fn requests_remaining(&self) -> i64 {
        self.requests_max.saturating_sub(self.meter.spent().requests).max(0)
    }

    /// Is its time over?
    #[must_use]
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.expires_at <= now
    }

    /// Sets a call's request and tokens aside. Exact on one replica, however many ask at the same time.
    ///
    /// # Errors
    /// The time is over, or not so much is left.
    pub fn reserve(&self, tokens: i64, now: DateTime<Utc>) -> Result<TrialSlot, TrialRefusal> {
        if self.is_over(now) {
            return Err(TrialRefusal::Over { ended_at: self.expires_at });
        }
        let part = Spent { tokens, requests: 1 };
        let most = Spent { tokens: self.tokens_max, requests: self.requests_max };
        match self.meter.reserve(part, most) {
            Ok(()) => Ok(TrialSlot { meter: Arc::clone(&self.meter), part }),
            Err(spent) => Err(TrialRefusal::UsedUp {
                tokens_remaining: most.tokens.saturating_sub(spent.tokens).max(0),
                requests_remaining: most.requests.saturating_sub(spent.requests).max(0),
            }),
        }
    }
}

/// What a call has set aside of its user's trial. Given back when dropped, unless settled.
#[must_use]
pub struct TrialSlot {
    pub(super) meter: Arc<TrialMeter>,
    pub(super) part: Spent,
}

impl Drop for TrialSlot {
    fn drop(&mut self) {
        self.meter.give_back(self.part);
    }
}

/// Why a trial does not let a call through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrialRefusal {
    #[error("Your trial has expired. Please upgrade to a paid plan to go on")]
    Over { ended_at: DateTime<Utc> },
    #[error("Trial limit exceeded: {tokens_remaining} tokens and {requests_remaining} requests are left of the trial")]
    UsedUp { tokens_remaining: i64, requests_remaining: i64 },
}

/// What a plan lets its user do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanLimits {
    pub requests_per_day: i64,
    pub requests_per_month: i64,
    pub tokens_per_day: i64,
    pub tokens_per_month: i64,
    pub concurrency: i64,
}

/// What is left to a user whose plan has ended (`contract.md` A.3, entitlements).
pub const WITHOUT_PLAN: PlanLimits = PlanLimits {
    requests_per_day: 100,
    requests_per_month: 1_000,
    tokens_per_day: 10_000,
    tokens_per_month: 100_000,
    concurrency: 5,
};

/// The plan a user is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `None` when the user has none.
    pub id: Option<PlanId>,
    pub name: String,
    /// `None`: without end.
    pub ends_at: Option<DateTime<Utc>>,
    limits: PlanLimits,
}

impl Plan {
    fn from_rows(rows: Option<(UserPlanRow, PlanRow)>) -> Self {
        let Some((user_plan, plan)) = rows else {
            return Self { id: None, name: "Trial".to_owned(), ends_at: None, limits: WITHOUT_PLAN };
        };
        let limits = PlanLimits {
            requests_per_day: plan.daily_request_limit,
            requests_per_month: plan.monthly_request_limit,
            tokens_per_day: plan.daily_token_limit,
            tokens_per_month: plan.monthly_token_limit,
            concurrency: plan.max_concurrent_requests,
        };
        Self { id: Some(PlanId(plan.id)), name: plan.name, ends_at: user_plan.end_date, limits }
    }

    /// Its limits now: those of a user without a plan once it has ended.
    #[must_use]
    pub fn limits(&self, now: DateTime<Utc>) -> PlanLimits {
        if self.ends_at.is_some_and(|end| end <= now) { WITHOUT_PLAN } else { self.limits }
    }
}

/// The user's accounts as the ledger wants them named.
pub(super) const fn dollars_of(user: UserId, accounts: DollarAccounts) -> UserAccounts {
    UserAccounts { user, asset: Asset::Usd, credits: accounts.credits, debt: accounts.debt }
}
