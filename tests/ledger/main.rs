//! The ledger's promises, through its public door, on a real PostgreSQL.

#[path = "../support/database.rs"]
mod database;
mod holds;
mod house;
