//! What the writer's queue carries.

use super::answers::Home;
use super::line::InLine;
use super::messages::{Asset, Balance, CallRecord, Credit, LedgerError, Settled, UserAccounts};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tollgate_domain::{AccountId, HoldId, KeyId};

/// What a hold is about: everything a settle needs to know without reading the hold's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub hold: HoldId,
    pub accounts: UserAccounts,
    pub key: KeyId,
    /// The sub-account of the key's budget. Journals of earlier servers do not name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<AccountId>,
    pub asked: i64,
    /// What was granted; what was asked for until then.
    pub amount: i64,
    pub lifetime: Duration,
}

impl Terms {
    pub const fn asset(&self) -> Asset {
        self.accounts.asset
    }

    /// The budget's sub-account as the tables have it.
    pub fn budget_id(&self) -> Option<i64> {
        self.budget.map(|budget| budget.0)
    }
}

/// How a hold is closed.
#[derive(Clone, Debug)]
pub enum Closing {
    Settle { record: Box<CallRecord>, upon: Upon },
    Release,
    Expire,
}

impl Closing {
    /// Whoever sent it knows that the hold was granted.
    pub const fn knows_hold(&self) -> bool {
        matches!(self, Self::Settle { upon: Upon::Hold, .. } | Self::Release | Self::Expire)
    }
}

/// What a settle goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upon {
    /// The hold is durable.
    Hold,
    /// The hold stands before it in the queue. It is not charged when that one is refused, or granted for less.
    PendingHold,
    /// That has happened.
    RefusedHold,
    /// The answer is served: it is charged whatever has become of the hold.
    Answer,
}

/// One operation for the writer.
#[derive(Clone, Debug)]
pub enum Command {
    Hold {
        /// With the amount asked for.
        terms: Terms,
        /// The least that is still of use.
        least: i64,
    },
    Close {
        terms: Terms,
        closing: Closing,
    },
    Credit(Box<Credit>),
    /// By now somebody waits for this patient hold.
    Hurry(HoldId),
    /// Fault injection for promise P8: the writer panics on it.
    #[cfg(any(test, feature = "fault-injection"))]
    Panic,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Held { granted: i64 },
    Settled(Settled),
    Closed,
    Credited(Balance),
    Failed(LedgerError),
}

/// A place among the open holds, or among the credits under way. Given back when neither a ticket nor a queued command
/// has it any more: so what is queued is bounded, also when callers ask and leave.
pub type Place = Arc<Seat>;

/// What a hold's commands share.
#[derive(Debug)]
pub struct Seat {
    _permit: OwnedSemaphorePermit,
    /// What became of the hold; one of the constants below.
    hold: AtomicU8,
}

impl Seat {
    const ASKED: u8 = 0;
    /// For all that was asked, and durable.
    const GRANTED: u8 = 1;
    const REFUSED: u8 = 2;

    pub fn of(permit: OwnedSemaphorePermit) -> Place {
        Arc::new(Self { _permit: permit, hold: AtomicU8::new(Self::ASKED) })
    }
}

/// A command and where its answer goes.
#[derive(Debug)]
pub struct Envelope {
    pub command: Command,
    pub reply: oneshot::Sender<Outcome>,
    pub place: Option<Place>,
    /// Of a hold: nobody waits for it yet.
    pub patient: bool,
    /// Of a hold: it stands in line until it is decided.
    pub in_line: Option<InLine>,
    /// Who asked from a runtime has the answer brought there.
    pub home: Option<Home>,
}

impl Envelope {
    /// A settle that was sent on a pending hold goes by what has become of that. Until its turn comes only the writer knows.
    pub fn catch_up(&mut self) {
        let Command::Close { closing: Closing::Settle { upon: upon @ Upon::PendingHold, .. }, .. } = &mut self.command else {
            return;
        };
        match self.place.as_ref().map(|seat| seat.hold.load(Ordering::Relaxed)) {
            Some(Seat::GRANTED) => *upon = Upon::Hold,
            Some(Seat::REFUSED) => *upon = Upon::RefusedHold,
            _ => {}
        }
    }

    /// The command is decided.
    pub fn note(&mut self, outcome: &Outcome) {
        self.in_line = None;
        if let (Command::Hold { terms, .. }, Some(seat)) = (&self.command, &self.place) {
            let is_granted = *outcome == Outcome::Held { granted: terms.amount };
            seat.hold.store(if is_granted { Seat::GRANTED } else { Seat::REFUSED }, Ordering::Relaxed);
        }
    }
}
