//! Everything that Tollgate knows of PostgreSQL: all SQL is in this crate.
//!
//! A table is written through one file. A transaction over several concerns (registration, a settle with its usage
//! record) is one function. Functions take a [`Store`] and give a connection back before they return.

pub mod account_deletion;
pub mod activity;
pub mod administration;
pub mod api_keys;
pub mod audit;
pub mod catalog;
pub mod chat_sessions;
pub mod error;
pub mod failed_attempts;
pub mod generations;
pub mod health;
pub mod idempotency;
pub mod identity_changes;
pub mod ledger;
pub mod limit_counters;
pub mod notifications;
pub mod operator;
pub mod plans;
pub mod privy;
pub mod profiles;
pub mod rate_limit_alerts;
pub mod rate_limits;
pub mod transactions;
pub mod trials;
pub mod users;

mod fold;
mod hash_text;
pub mod migrate;
pub mod pool;
mod statement;
#[rustfmt::skip]
pub mod schema;

pub use error::StoreError;
pub use fold::Folded;
pub use pool::{Connection, Store, StoreOptions};
