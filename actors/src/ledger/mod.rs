//! The ledger: holds, settles, credits.
//!
//! It owns: the one connection that changes the ledger's tables, the balances that it wrote last, the holds whose calls run
//! here. PostgreSQL decides; what is in memory is belief, checked in every statement (`tollgate_store::ledger`).
//!
//! Bounds: [`handle`]'s constants; a batch is at most [`writer::BATCH_MAX`] commands.
//!
//! Order: one writer, commands in the order of arrival; but a hold that nobody waits for lets others go first, its own settle excepted.
//!
//! What a restart loses: nothing that was answered. A settle is in the database or in the journal before its receipt
//! resolves; a hold without an owner is released at the next start, or by any replica after ten seconds.
//!
//! ```text
//! Ledger (handle) ── Command ──▶ queue ──▶ Writer: recv_many ▶ Book::decide ▶ one statement ▶ answers
//!    ▲ Ticket                                   ▲ wrong belief: read under lock, decide again
//! LedgerActor (face, supervises both tasks)     │ no database: settles to the journal, holds refused
//! Keeper: heartbeats, expires what is due, extends what lives ──┘
//! ```

mod actor;
mod answers;
mod book;
mod budgets;
mod command;
mod handle;
mod keeper;
mod line;
mod live;
mod messages;
mod ticket;
mod writer;

#[cfg(test)]
mod tests;

pub use actor::{LedgerActor, LedgerOptions, LedgerService, start};
pub use handle::{Ledger, OPEN_HOLDS_MAX};
pub use messages::{Asset, Balance, CallRecord, Credit, HoldRequest, LedgerError, Settled, Source, UserAccounts};
pub use ticket::{CallPermit, ConfirmedTicket, EarlySettle, Receipt, Ticket};
pub use writer::BATCH_MAX;
