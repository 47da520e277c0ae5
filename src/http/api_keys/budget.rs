//! A key's budget and what is left of it, as answers show it.

use crate::http::error::ApiError;
use crate::startup::Services;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tollgate_domain::{Budget, KeyId, Nanos};
use tollgate_store::ledger::BudgetLeft;
use utoipa::ToSchema;

/// What a key may spend. Dollars
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct BudgetUse {
    #[schema(value_type = f64)]
    pub limit_usd: Nanos,
    /// `daily`, `weekly`, `monthly` (from midnight UTC, Monday, the 1st) or `total`.
    pub period: &'static str,
    /// Of this period. Above the limit when a call cost more than was expected, or the limit was lowered.
    #[schema(value_type = f64)]
    pub spent_usd: Nanos,
    /// Reserved by calls under way.
    #[schema(value_type = f64)]
    pub held_usd: Nanos,
    /// What a new call could use; not below 0.
    #[schema(value_type = f64)]
    pub remaining_usd: Nanos,
    /// When this period began: not before the budget was set.
    pub starts_at: DateTime<Utc>,
    /// When the budget is full again; `null`: never.
    pub resets_at: Option<DateTime<Utc>>,
}

impl BudgetUse {
    /// Asks for what is left.
    ///
    /// # Errors
    /// 503 when the database is away.
    pub async fn of(services: &Services, key: KeyId, budget: &Budget) -> Result<Self, ApiError> {
        let left = services.actors.identity.budgets_left(&[key]).await?;
        Ok(Self::from_rows(budget, left.get(&key), services.clock.now()))
    }

    /// A period in which the key was not used yet has no row: all is left of it.
    pub fn from_rows(budget: &Budget, last: Option<&BudgetLeft>, now: DateTime<Utc>) -> Self {
        let window = budget.window(now);
        let of_now = last.filter(|last| last.starts_at == window.starts_at);
        let (left, held) = of_now.map_or((budget.limit, Nanos::ZERO), |of_now| (Nanos(of_now.posted), Nanos(of_now.held)));
        Self {
            limit_usd: budget.limit,
            period: budget.period.as_str(),
            spent_usd: budget.limit.saturating_sub(left),
            held_usd: held,
            remaining_usd: left.saturating_sub(held).max(Nanos::ZERO),
            starts_at: window.starts_at,
            resets_at: window.ends_at,
        }
    }
}
