//! The doors of a user's own keys.

mod audit_logs;
mod budget;
mod create;
mod delete;
mod fields;
mod list;
mod update;
mod usage;

pub use audit_logs::{__path_api_keys_audit_logs, api_keys_audit_logs};
pub(super) use budget::BudgetUse;
pub use create::{__path_create_api_key, create_api_key};
pub use delete::{__path_delete_api_key, delete_api_key};
pub use list::{__path_list_api_keys, list_api_keys};
pub use update::{__path_update_api_key, update_api_key};
pub use usage::{__path_api_keys_usage, api_keys_usage};
