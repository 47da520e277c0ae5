//! What a user sees of the history of their credits: `transfers` and `usage_records`, read together.
//!
//! A call is one row (its usage record), whatever it cost; everything else is a row of `transfers`. What a call cost
//! beyond the balance stands in the debt account; the credit that pays it later shows a repayment beside. So the
//! amounts of all rows add up to the balance.
//!
//! Totals don't sum history: `fold.rs` keeps sums of all movements up to a link of each slot's chain, and `totals.rs` adds the
//! few that came since. Nothing is written for it when a call is charged.

mod fold;
mod page;
mod totals;

pub use fold::fold;
pub use page::{Page, Position, Transaction, page};
pub use totals::{CreditSums, KindTotal, credits, totals};

/// The type under which calls, and repayments of what calls left owing, are shown.
pub const API_USAGE: &str = "api_usage";
