//! What the writer's queue carries.

use super::answers::Home;
use super::messages::{Asset, Balance, CallRecord, Credit, LedgerError, Settled, UserAccounts};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
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
    Settle(Box<CallRecord>),
    Release,
    Expire,
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
pub type Place = Arc<OwnedSemaphorePermit>;

/// A command and where its answer goes.
#[derive(Debug)]
pub struct Envelope {
    pub command: Command,
    pub reply: oneshot::Sender<Outcome>,
    pub place: Option<Place>,
    /// Who asked from a runtime has the answer brought there.
    pub home: Option<Home>,
}
