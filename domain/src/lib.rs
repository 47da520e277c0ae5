//! What every part of Tollgate talks about and nothing else: ids, money, budgets, prices, token usage.
//!
//! A leaf crate: it knows no database, no HTTP and no actor, and so everything may depend on it.

pub mod budget;
pub mod ids;
pub mod money;
pub mod price;
pub mod usage;

pub use budget::{Budget, BudgetPeriod, BudgetWindow};
pub use ids::{AccountId, GatewayId, GenerationId, HoldId, KeyId, OperationId, PlanId, SessionId, UserId};
pub use money::{MoneyError, Nanos};
pub use price::{DayWindow, PriceLines, PriceList, PriceOverride, PricePerMillion, RareLines};
pub use usage::{RareTokens, TokenUsage, UsageReading};
