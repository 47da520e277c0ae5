//! Black-box tests over HTTP: one file per door.

#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;

#[cfg(test)]
mod abuse;
#[cfg(test)]
mod account_deletion;
#[cfg(test)]
mod activity;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod admin_balance;
#[cfg(test)]
mod admin_monitor;
#[cfg(test)]
mod api_keys;
#[cfg(test)]
mod audit_chain;
#[cfg(test)]
mod audit_logs;
#[cfg(test)]
mod balance;
#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod catalogue_cache;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod chat_sessions;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gateways;
#[cfg(test)]
mod generation;
#[cfg(test)]
mod house;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod key_and_credits;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod long_lists;
#[cfg(test)]
mod models;
#[cfg(test)]
mod newcomer;
#[cfg(test)]
mod notifications;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod principal;
#[cfg(test)]
mod profile;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod register;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod trial_analytics;
#[cfg(test)]
mod upkeep;
