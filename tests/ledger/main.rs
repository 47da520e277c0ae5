//! The ledger's promises (L1 to L9, P8), through its public door, on a real PostgreSQL.

#[cfg(test)]
mod budgets;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod early;
#[cfg(test)]
mod exactly_once;
#[cfg(test)]
mod expiry;
#[cfg(test)]
mod folding;
#[cfg(test)]
mod holds;
#[cfg(test)]
mod house;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod overspend;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod rates;
#[cfg(test)]
mod tamper;
#[cfg(test)]
mod tampering;
#[cfg(test)]
mod worker;
