//! What can be asked of the ledger, and what it answers.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;
use tollgate_domain::{AccountId, GatewayId, HoldId, KeyId, Nanos, OperationId, TokenUsage, UserId};

/// What an account counts. The ledger treats both alike: an amount of tokens is the same integer, one a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Asset {
    /// In nano-dollars.
    Usd,
    /// The allowance of seed 002.
    Tokens,
}

impl Asset {
    /// As in `accounts.asset`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Tokens => "tokens",
        }
    }
}

/// The accounts that a user's money, or allowance, is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAccounts {
    pub user: UserId,
    pub asset: Asset,
    pub credits: AccountId,
    /// What usage above the balance has left owing; its balance is never positive.
    pub debt: AccountId,
}

/// Reserve money for one call.
#[derive(Clone, Debug)]
pub struct HoldRequest {
    /// Made by the caller; the same id asks for the same hold.
    pub id: HoldId,
    pub accounts: UserAccounts,
    pub key: KeyId,
    /// The key's budget, which must cover the call, too: see [`Ledger::budget_account`](super::Ledger::budget_account).
    pub budget: Option<AccountId>,
    /// The worst case.
    pub amount: Nanos,
    /// When there is less than `amount`, all of it is granted down to this.
    pub least: Nanos,
    pub lifetime: Duration,
    /// With an early permit the caller is busy with the call: the hold is asked for as soon as it [waits](super::Ticket::decided), and
    /// may be written a little later, together with others.
    pub patient: bool,
}

/// What a call used and costs; becomes the usage record in the settle's own commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallRecord {
    pub model: String,
    pub gateway: GatewayId,
    pub usage: TokenUsage,
    #[serde(with = "tollgate_domain::money::integer")]
    pub cost: Nanos,
    pub latency: Duration,
    /// The tokens were counted by us.
    pub estimated: bool,
    pub streamed: bool,
    pub finish_reason: String,
    /// The model's maker, as the activity log shows it. Journals of earlier servers have none: those wrote the log's row themselves.
    #[serde(default)]
    pub provider: Cow<'static, str>,
    /// The chat session that the call names.
    #[serde(default)]
    pub session_id: Option<i64>,
}

/// How a settle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    pub charged: Nanos,
    /// The part of it that the balance did not cover.
    pub debt: Nanos,
    /// Settled credits after it.
    pub balance_after: Nanos,
    /// The database was away: the settle waits in the journal, and the balance is the last known one.
    pub journaled: bool,
}

/// Where money that comes in comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Grants,
    Clearing,
    Refunds,
}

/// Put money into a user's credits; what is owed is paid first.
#[derive(Clone, Debug)]
pub struct Credit {
    /// Made by the caller from what it pays for, so that a repetition has one effect.
    pub id: OperationId,
    pub accounts: UserAccounts,
    pub amount: Nanos,
    pub source: Source,
    /// `trial`, `purchase`, `admin_credit`, `refund`, `bonus`, `transfer`: the `transaction_type` that users see.
    pub kind: &'static str,
    pub description: String,
}

/// A user's money now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Settled: what `credits` shows.
    pub credits: Nanos,
    /// Reserved by open holds.
    pub held: Nanos,
    /// Owed (not negative).
    pub debt: Nanos,
}

impl Balance {
    /// What a new hold could reserve.
    #[must_use]
    pub const fn available(&self) -> Nanos {
        self.credits.saturating_sub(self.held)
    }
}

/// Why the ledger did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    #[error("insufficient credits: {needed} needed, {available} available")]
    Insufficient { needed: Nanos, available: Nanos },
    /// The user could pay, but not out of the key's budget.
    #[error("the key's budget is used up: {needed} needed, {available} available")]
    OverBudget { needed: Nanos, available: Nanos },
    /// The id was used before for something else; the field that differs.
    #[error("this id was used before with another {0}")]
    Conflict(&'static str),
    /// No such account or hold.
    #[error("unknown {0}")]
    Unknown(&'static str),
    /// More is waiting than is answered in good time.
    #[error("the ledger is overloaded")]
    Overloaded,
    /// The database is away, or the operation hit a defect of ours. Nothing was spent.
    #[error("the ledger is unavailable")]
    Unavailable,
}
