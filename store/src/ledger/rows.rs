//! The ledger's rows as plain structs.

use crate::schema::{accounts, holds, operations};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use std::borrow::Cow;
use uuid::Uuid;

/// How a hold stands; `holds.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldState {
    Open,
    Settled,
    Released,
    Expired,
    Refused,
}

impl HoldState {
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Open => 0,
            Self::Settled => 1,
            Self::Released => 2,
            Self::Expired => 3,
            Self::Refused => 4,
        }
    }

    /// The state of that code. The table's CHECK lets no other in.
    #[must_use]
    pub const fn from_code(code: i16) -> Self {
        match code {
            0 => Self::Open,
            1 => Self::Settled,
            2 => Self::Released,
            3 => Self::Expired,
            _ => Self::Refused,
        }
    }
}

/// An account's balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = accounts)]
pub struct AccountRow {
    pub id: i64,
    pub posted: i64,
    pub held: i64,
}

/// A hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = holds)]
pub struct HoldRow {
    pub id: Uuid,
    pub account_id: i64,
    /// The budget that it is reserved in, too.
    pub budget_account_id: Option<i64>,
    pub asked: i64,
    pub amount: i64,
    pub state: i16,
    pub charged: Option<i64>,
    pub debt: Option<i64>,
}

/// An operation that is no hold: what was asked under its id, and what was answered.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = operations)]
pub struct OperationRow {
    pub id: Uuid,
    pub kind: String,
    pub body_hash: Vec<u8>,
    pub credits_after: i64,
    pub held_after: i64,
    pub debt_after: i64,
}

/// What one batch does to an account, and the balance that it was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountChange {
    pub before: AccountRow,
    pub posted_delta: i64,
    pub held_delta: i64,
}

/// A new hold: open, refused, or closed in the batch that opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewHold {
    pub id: Uuid,
    pub account_id: i64,
    pub budget_account_id: Option<i64>,
    pub asked: i64,
    pub amount: i64,
    pub state: HoldState,
    pub charged: Option<i64>,
    pub debt: Option<i64>,
    pub expires_at: DateTime<Utc>,
}

/// A hold that is closed, and the state that it is believed to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedHold {
    pub id: Uuid,
    pub amount: i64,
    pub from: HoldState,
    pub to: HoldState,
    pub charged: Option<i64>,
    pub debt: Option<i64>,
}

/// Money from one account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub kind: Cow<'static, str>,
    pub debit_account: i64,
    pub credit_account: i64,
    pub amount: i64,
    pub reference: Uuid,
    pub user_id: i64,
    /// The user's settled balance after it.
    pub balance_after: i64,
    pub description: String,
}

/// What a settled hold was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub hold_id: Uuid,
    pub user_id: i64,
    pub api_key_id: i64,
    pub model: String,
    pub gateway: Cow<'static, str>,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_write_tokens: i64,
    pub reasoning_tokens: i64,
    pub cost: i64,
    pub balance_after: i64,
    pub latency_ms: i32,
    pub estimated: bool,
    pub streamed: bool,
    pub finish_reason: String,
    /// The model's maker. Empty in records of earlier servers.
    pub provider: Cow<'static, str>,
    /// The chat session that the call names.
    pub session_id: Option<i64>,
}

/// The last link of a writer's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    pub batch: i64,
    pub hash: [u8; 32],
}

impl ChainHead {
    /// Before the first link.
    pub const GENESIS: Self = Self { batch: 0, hash: [0; 32] };
}

/// All that one batch writes.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub accounts: Vec<AccountChange>,
    pub opened: Vec<NewHold>,
    pub closed: Vec<ClosedHold>,
    pub operations: Vec<OperationRow>,
    pub transfers: Vec<Transfer>,
    pub usage: Vec<Usage>,
}

impl Batch {
    /// Nothing to write: every answer was known already.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.opened.is_empty() && self.closed.is_empty() && self.operations.is_empty()
    }

    /// Does it add to history, and so to the chain?
    #[must_use]
    pub const fn has_history(&self) -> bool {
        !self.transfers.is_empty() || !self.usage.is_empty() || !self.operations.is_empty()
    }
}
