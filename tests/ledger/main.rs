//! The ledger's promises (L1 to L9, P8), through its public door, on a real PostgreSQL.

mod crash;
mod exactly_once;
mod expiry;
mod holds;
mod house;
mod outage;
mod overspend;
mod panics;
mod postgres;
mod rates;
mod tamper;
mod tampering;
mod worker;
