//! Doors in: one file per door, `routes.rs` lists them all. A handler extracts, asks an actor and shapes the answer.

pub mod admin;
pub mod api_keys;
pub mod balance;
pub mod chat_completions;
mod connection;
pub mod cors;
pub mod docs;
pub mod dollars;
pub mod error;
pub mod extract;
pub mod fallback;
pub mod frame;
#[cfg(test)]
mod fuzz;
pub mod health;
mod host;
pub mod limits;
pub mod metrics;
pub mod models;
pub mod openapi;
pub mod principal;
pub mod register;
pub mod request_id;
pub mod root;
pub mod routes;
pub mod server;
pub mod starting;
pub mod text;
pub mod transactions;
