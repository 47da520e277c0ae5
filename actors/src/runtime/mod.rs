//! What every actor runs on: supervision that survives a panic, bounded handles, two arbiter threads, and the drain.
//!
//! `actix` by itself lets an actor die of a panic and lets its mailbox grow without bound; `facts.rs` shows both, fact by fact.
//! The rest of the crate starts its actors with [`start`] and passes around [`Handle`]s, never an `Addr`.

mod arbiters;
mod drain;
mod handle;
mod supervise;

#[cfg(test)]
mod facts;
#[cfg(test)]
mod tests;

pub use arbiters::Arbiters;
pub use drain::{Crash, Drain, DrainReport, InFlight};
pub use handle::{AskError, Handle};
pub use supervise::{RestartPolicy, Supervision, start};
