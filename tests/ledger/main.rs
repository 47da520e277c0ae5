//! The ledger's promises, through its public door, on a real PostgreSQL.

mod holds;
mod house;
