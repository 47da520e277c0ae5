//! The rules of the ledger as plain functions: what is believed or known goes in, answers and a batch come out.
//!
//! A [`Book`] knows nothing of a database. The writer fills it with beliefs or with the truth, asks it to decide command by
//! command in the order of arrival, and writes the batch that results.

use super::command::{Closing, Command, Outcome, Terms, Upon};
use super::messages::{Asset, Balance, CallRecord, Credit, LedgerError, Settled, Source, UserAccounts};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use tollgate_domain::Nanos;
use tollgate_store::ledger::{
    AccountChange, AccountRow, Batch, ClosedHold, HoldRow, HoldState, NewHold, OperationRow, Transfer, Usage,
};
use uuid::Uuid;

/// This replica's house accounts.
#[derive(Clone, Debug, Default)]
pub struct HouseIds {
    ids: HashMap<(&'static str, Asset), i64>,
}

impl HouseIds {
    pub fn insert(&mut self, kind: &'static str, asset: Asset, id: i64) {
        self.ids.insert((kind, asset), id);
    }

    pub fn revenue(&self, asset: Asset) -> Option<i64> {
        self.ids.get(&("revenue", asset)).copied()
    }

    pub fn source(&self, source: Source, asset: Asset) -> Option<i64> {
        self.ids.get(&(source_kind(source), asset)).copied()
    }
}

/// As in `accounts.kind`.
const fn source_kind(source: Source) -> &'static str {
    match source {
        Source::Grants => "grants",
        Source::Clearing => "clearing",
        Source::Refunds => "refunds",
    }
}

/// The accounts that a command touches.
pub fn accounts_of(command: &Command, house: &HouseIds) -> Vec<i64> {
    let ids = match command {
        Command::Hold { terms, .. } => [Some(terms.accounts.credits.0), terms.budget_id(), None, None],
        Command::Close { terms, closing } => {
            let UserAccounts { credits, debt, asset, .. } = terms.accounts;
            match closing {
                Closing::Settle { .. } => [Some(credits.0), terms.budget_id(), Some(debt.0), house.revenue(asset)],
                Closing::Release | Closing::Expire => [Some(credits.0), terms.budget_id(), None, None],
            }
        }
        Command::Credit(credit) => {
            let UserAccounts { credits, debt, asset, .. } = credit.accounts;
            [Some(credits.0), None, Some(debt.0), house.source(credit.source, asset)]
        }
        Command::Hurry(_) => [None, None, None, None],
        #[cfg(any(test, feature = "fault-injection"))]
        Command::Panic => [None, None, None, None],
    };
    ids.into_iter().flatten().collect()
}

#[derive(Clone, Copy, Debug)]
struct Account {
    before: AccountRow,
    posted: i64,
    held: i64,
}

impl Account {
    const fn available(&self) -> i64 {
        self.posted - self.held
    }
}

/// What is known while a batch is decided, and the batch so far.
#[derive(Debug)]
pub struct Book<'h> {
    house: &'h HouseIds,
    at: DateTime<Utc>,
    accounts: HashMap<i64, Account>,
    holds: HashMap<Uuid, Known>,
    operations: HashMap<Uuid, OperationRow>,
    batch: Batch,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    row: HoldRow,
    /// Its place among the batch's new holds, when it is one.
    new: Option<usize>,
}

impl From<HoldRow> for Known {
    fn from(row: HoldRow) -> Self {
        Self { row, new: None }
    }
}

/// Either the answer or the reason against it: both are an outcome.
type Decision<T = Outcome> = Result<T, LedgerError>;

impl<'h> Book<'h> {
    pub fn new(
        house: &'h HouseIds,
        at: DateTime<Utc>,
        accounts: impl IntoIterator<Item = AccountRow>,
        holds: impl IntoIterator<Item = HoldRow>,
        operations: impl IntoIterator<Item = OperationRow>,
    ) -> Self {
        let account = |row: AccountRow| (row.id, Account { before: row, posted: row.posted, held: row.held });
        Self {
            house,
            at,
            accounts: accounts.into_iter().map(account).collect(),
            holds: holds.into_iter().map(|row| (row.id, row.into())).collect(),
            operations: operations.into_iter().map(|row| (row.id, row)).collect(),
            batch: Batch::default(),
        }
    }

    /// Believes that the hold is open, as its ticket says.
    pub fn believe_open(&mut self, terms: &Terms) {
        self.holds.entry(terms.hold.0).or_insert_with(|| row_of(terms, terms.amount, HoldState::Open).into());
    }

    pub fn decide(&mut self, command: &Command) -> Outcome {
        let decision = match command {
            Command::Hold { terms, least } => self.hold(terms, *least),
            Command::Close { terms, closing: Closing::Settle { record, upon } } => self.settle(terms, record, *upon),
            Command::Close { terms, closing: Closing::Release } => self.give_back(terms, HoldState::Released),
            Command::Close { terms, closing: Closing::Expire } => self.give_back(terms, HoldState::Expired),
            Command::Credit(credit) => self.credit(credit),
            Command::Hurry(_) => Ok(Outcome::Closed),
            #[cfg(any(test, feature = "fault-injection"))]
            Command::Panic => std::panic::resume_unwind(Box::new("the ledger's writer crashed on request")),
        };
        decision.unwrap_or_else(Outcome::Failed)
    }

    /// The batch, and the balances after it.
    pub fn close(mut self) -> (Batch, Vec<AccountRow>) {
        let mut accounts: Vec<&Account> = self.accounts.values().collect();
        accounts.sort_unstable_by_key(|account| account.before.id);
        let after = accounts.iter().map(|account| AccountRow { posted: account.posted, held: account.held, ..account.before });
        let after = after.collect();
        let change = |account: &&Account| AccountChange {
            before: account.before,
            posted_delta: account.posted - account.before.posted,
            held_delta: account.held - account.before.held,
        };
        self.batch.accounts = accounts.iter().map(change).collect();
        self.batch.operations.sort_unstable_by_key(|operation| operation.id);
        (self.batch, after)
    }

    fn hold(&mut self, terms: &Terms, least: i64) -> Decision {
        let account_id = terms.accounts.credits.0;
        if let Some(Known { row, .. }) = self.holds.get(&terms.hold.0).copied() {
            return self.hold_again(terms, least, &row);
        }
        let room = self.room(account_id, terms.budget_id())?;
        let granted = terms.amount.min(room.granted());
        let refused = granted < least || granted < 0;
        let amount = if refused { 0 } else { granted };
        for id in std::iter::once(account_id).chain(terms.budget_id()) {
            self.account(id)?.held += amount;
        }
        self.add_hold(terms, amount, if refused { HoldState::Refused } else { HoldState::Open });
        if refused { Err(room.refusal(terms.amount)) } else { Ok(Outcome::Held { granted: amount }) }
    }

    fn add_hold(&mut self, terms: &Terms, amount: i64, state: HoldState) -> HoldRow {
        let row = row_of(terms, amount, state);
        let HoldRow { id, account_id, budget_account_id, asked, charged, debt, .. } = row;
        let expires_at = self.at + terms.lifetime;
        self.holds.insert(id, Known { row, new: Some(self.batch.opened.len()) });
        self.batch.opened.push(NewHold { id, account_id, budget_account_id, asked, amount, state, charged, debt, expires_at });
        row
    }

    /// What a hold can be made of.
    fn room(&mut self, account: i64, budget: Option<i64>) -> Decision<Room> {
        let available = self.account(account)?.available();
        let budget = budget.map(|budget| self.account(budget).map(|budget| budget.available())).transpose()?;
        Ok(Room { available, budget })
    }

    /// The same id once more: the same answer, or the field that differs. A refused id stays refused, whatever the
    /// balance is now: a new try needs a new id.
    fn hold_again(&mut self, terms: &Terms, least: i64, known: &HoldRow) -> Decision {
        if known.account_id != terms.accounts.credits.0 {
            return Err(LedgerError::Conflict("account"));
        }
        if known.budget_account_id != terms.budget_id() {
            return Err(LedgerError::Conflict("budget"));
        }
        if known.asked != terms.asked {
            return Err(LedgerError::Conflict("amount"));
        }
        if known.state == HoldState::Refused.code() {
            return Err(self.room(known.account_id, known.budget_account_id)?.refusal(known.asked));
        }
        if known.amount < least {
            return Err(LedgerError::Conflict("least"));
        }
        Ok(Outcome::Held { granted: known.amount })
    }

    /// Charges the call: the hold first, then what is free, and the rest is owed. A hold that was given back before
    /// (expired, or its server was thought dead) is charged all the same: the answer was served.
    fn settle(&mut self, terms: &Terms, record: &CallRecord, upon: Upon) -> Decision {
        let hold = self.hold_to_settle(terms, upon)?;
        let cost = record.cost.0.max(0);
        if let Some(charged) = hold.charged {
            return if charged == cost { self.settled(terms, &hold) } else { Err(LedgerError::Conflict("cost")) };
        }
        let revenue = self.house.revenue(terms.asset()).ok_or(LedgerError::Unknown("house account"))?;
        let freed = if hold.state == HoldState::Open.code() { hold.amount } else { 0 };
        let paid = cost.min((self.account(terms.accounts.credits.0)?.available() + freed).max(0));
        let debt = cost - paid;
        self.require_room([(terms.accounts.debt.0, -debt), (revenue, cost)])?;
        if let Some(budget) = terms.budget_id() {
            self.require_room([(budget, -cost)])?;
            let budget = self.account(budget)?;
            budget.held -= freed;
            // In full, also what the user now owes: it was spent.
            budget.posted -= cost;
        }
        let account = self.account(terms.accounts.credits.0)?;
        account.held -= freed;
        account.posted -= paid;
        let balance_after = account.posted;
        if debt > 0 {
            self.account(terms.accounts.debt.0)?.posted -= debt;
        }
        self.account(revenue)?.posted += cost;
        self.charge(terms, revenue, paid, debt, balance_after);
        self.batch.usage.push(usage_row(terms, record, cost, balance_after));
        let closed = self.close_hold(&hold, HoldState::Settled, Some(cost), Some(debt));
        self.settled(terms, &closed)
    }

    fn charge(&mut self, terms: &Terms, revenue: i64, paid: i64, debt: i64, balance_after: i64) {
        let UserAccounts { user, credits, debt: debt_account, .. } = terms.accounts;
        for (kind, debit_account, amount) in [("api_usage", credits.0, paid), ("debt", debt_account.0, debt)] {
            if amount > 0 {
                self.batch.transfers.push(Transfer {
                    kind: Cow::Borrowed(kind),
                    debit_account,
                    credit_account: revenue,
                    amount,
                    reference: terms.hold.0,
                    user_id: user.0,
                    balance_after,
                    description: String::new(),
                });
            }
        }
    }

    fn settled(&mut self, terms: &Terms, hold: &HoldRow) -> Decision {
        let balance_after = Nanos(self.account(terms.accounts.credits.0)?.posted);
        let (charged, debt) = (Nanos(hold.charged.unwrap_or(0)), Nanos(hold.debt.unwrap_or(0)));
        Ok(Outcome::Settled(Settled { charged, debt, balance_after, journaled: false }))
    }

    /// Closes an open hold without a charge. One that is closed already stays as it is.
    fn give_back(&mut self, terms: &Terms, to: HoldState) -> Decision {
        let Ok(hold) = self.known_hold(terms) else { return Ok(Outcome::Closed) };
        if hold.state == HoldState::Open.code() {
            for id in std::iter::once(hold.account_id).chain(hold.budget_account_id) {
                self.account(id)?.held -= hold.amount;
            }
            self.close_hold(&hold, to, None, None);
        }
        Ok(Outcome::Closed)
    }

    fn hold_to_settle(&mut self, terms: &Terms, upon: Upon) -> Decision<HoldRow> {
        match upon {
            Upon::Hold => self.granted_hold(terms),
            Upon::RefusedHold => Err(LedgerError::Unknown("hold")),
            // What was granted less pays for another answer than this one.
            Upon::PendingHold => match self.granted_hold(terms)? {
                lowered if lowered.amount < terms.amount => Err(LedgerError::Conflict("amount")),
                hold => Ok(hold),
            },
            Upon::Answer if self.holds.contains_key(&terms.hold.0) => self.known_hold(terms),
            // It was never written: nothing was reserved.
            Upon::Answer => Ok(self.add_hold(terms, 0, HoldState::Released)),
        }
    }

    fn granted_hold(&self, terms: &Terms) -> Decision<HoldRow> {
        match self.known_hold(terms)? {
            refused if refused.state == HoldState::Refused.code() => Err(LedgerError::Unknown("hold")),
            hold => Ok(hold),
        }
    }

    fn known_hold(&self, terms: &Terms) -> Decision<HoldRow> {
        let hold = self.holds.get(&terms.hold.0).ok_or(LedgerError::Unknown("hold"))?.row;
        if hold.account_id != terms.accounts.credits.0 {
            return Err(LedgerError::Conflict("account"));
        }
        if hold.budget_account_id != terms.budget_id() {
            return Err(LedgerError::Conflict("budget"));
        }
        Ok(hold)
    }

    fn close_hold(&mut self, hold: &HoldRow, to: HoldState, charged: Option<i64>, debt: Option<i64>) -> HoldRow {
        let row = HoldRow { state: to.code(), charged, debt, ..*hold };
        let new = self.holds.get(&hold.id).and_then(|known| known.new);
        self.holds.insert(hold.id, Known { row, new });
        match new.and_then(|place| self.batch.opened.get_mut(place)) {
            Some(opened) => *opened = NewHold { state: to, charged, debt, ..*opened },
            None => self.write_closing(hold, to, charged, debt),
        }
        row
    }

    /// Closed twice in one batch (it expired, then its settle came), a row is written once.
    fn write_closing(&mut self, hold: &HoldRow, to: HoldState, charged: Option<i64>, debt: Option<i64>) {
        let (id, amount, from) = (hold.id, hold.amount, HoldState::from_code(hold.state));
        let mut closed_before = self.batch.closed.iter_mut().filter(|_| from != HoldState::Open);
        match closed_before.find(|closed| closed.id == id) {
            Some(closed) => *closed = ClosedHold { to, charged, debt, ..*closed },
            None => self.batch.closed.push(ClosedHold { id, amount, from, to, charged, debt }),
        }
    }

    /// Puts money in: what is owed is paid first.
    fn credit(&mut self, credit: &Credit) -> Decision {
        let body_hash = body_hash(credit);
        if let Some(known) = self.operations.get(&credit.id.0) {
            return if known.body_hash == body_hash { Ok(answer_of(known)) } else { Err(LedgerError::Conflict("body")) };
        }
        let UserAccounts { user, asset, credits, debt } = credit.accounts;
        let source = self.house.source(credit.source, asset).ok_or(LedgerError::Unknown("house account"))?;
        let amount = credit.amount.0;
        self.require_room([(credits.0, amount), (source, -amount)])?;
        let owed = -self.account(debt.0)?.posted;
        let repaid = owed.min(amount);
        let account = self.account(credits.0)?;
        let full = account.posted + amount;
        account.posted = full - repaid;
        let (balance_after, held) = (account.posted, account.held);
        self.account(debt.0)?.posted += repaid;
        self.account(source)?.posted -= amount;
        let mut transfer = |kind: Cow<'static, str>, debit_account, credit_account, amount, balance_after, description| {
            let reference = credit.id.0;
            let user_id = user.0;
            let moved = Transfer { kind, debit_account, credit_account, amount, reference, user_id, balance_after, description };
            self.batch.transfers.push(moved);
        };
        transfer(Cow::Borrowed(credit.kind), source, credits.0, amount, full, storable(&credit.description));
        if repaid > 0 {
            transfer(Cow::Borrowed("debt_repayment"), credits.0, debt.0, repaid, balance_after, String::new());
        }
        let operation = OperationRow {
            id: credit.id.0,
            kind: credit.kind.to_owned(),
            body_hash,
            credits_after: balance_after,
            held_after: held,
            debt_after: owed - repaid,
        };
        self.operations.insert(operation.id, operation.clone());
        let answer = answer_of(&operation);
        self.batch.operations.push(operation);
        Ok(answer)
    }

    /// Nothing is changed before every account is known to be there, and its balance to stay a number.
    fn require_room<const N: usize>(&self, changes: [(i64, i64); N]) -> Decision<()> {
        for (id, change) in changes {
            let account = self.accounts.get(&id).ok_or(LedgerError::Unknown("account"))?;
            account.posted.checked_add(change).ok_or(LedgerError::Conflict("amount: the books would overflow"))?;
        }
        Ok(())
    }

    fn account(&mut self, id: i64) -> Decision<&mut Account> {
        self.accounts.get_mut(&id).ok_or(LedgerError::Unknown("account"))
    }
}

/// What there is for a hold: of the balance, and of the key's budget where it has one.
#[derive(Clone, Copy, Debug)]
struct Room {
    available: i64,
    budget: Option<i64>,
}

impl Room {
    /// A budget that is overdrawn still lets through what costs nothing.
    fn granted(self) -> i64 {
        self.budget.map_or(self.available, |budget| budget.max(0).min(self.available))
    }

    /// The tighter of the two is told.
    fn refusal(self, needed: i64) -> LedgerError {
        let needed = Nanos(needed);
        match self.budget {
            Some(budget) if budget < self.available => LedgerError::OverBudget { needed, available: Nanos(budget.max(0)) },
            _ => LedgerError::Insufficient { needed, available: Nanos(self.available) },
        }
    }
}

fn row_of(terms: &Terms, amount: i64, state: HoldState) -> HoldRow {
    HoldRow {
        id: terms.hold.0,
        account_id: terms.accounts.credits.0,
        budget_account_id: terms.budget_id(),
        asked: terms.asked,
        amount,
        state: state.code(),
        charged: None,
        debt: None,
    }
}

const fn answer_of(operation: &OperationRow) -> Outcome {
    Outcome::Credited(Balance {
        credits: Nanos(operation.credits_after),
        held: Nanos(operation.held_after),
        debt: Nanos(operation.debt_after),
    })
}

/// What makes two credits the same: everything but the id.
fn body_hash(credit: &Credit) -> Vec<u8> {
    let mut hasher = Sha256::new();
    let numbers = [credit.accounts.user.0, credit.accounts.credits.0, credit.accounts.debt.0, credit.amount.0];
    numbers.iter().for_each(|number| hasher.update(number.to_be_bytes()));
    for text in [credit.accounts.asset.as_str(), source_kind(credit.source), credit.kind, &credit.description] {
        hasher.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(text);
    }
    hasher.finalize().to_vec()
}

/// PostgreSQL's texts hold no NUL, and an upstream may send one.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn usage_row(terms: &Terms, record: &CallRecord, cost: i64, balance_after: i64) -> Usage {
    Usage {
        hold_id: terms.hold.0,
        user_id: terms.accounts.user.0,
        api_key_id: terms.key.0,
        model: storable(&record.model),
        gateway: Cow::Borrowed(record.gateway.as_str()),
        prompt_tokens: record.usage.prompt,
        completion_tokens: record.usage.completion,
        cache_read_tokens: record.usage.cache_read,
        cache_write_tokens: record.usage.cache_write,
        reasoning_tokens: record.usage.reasoning,
        cost,
        balance_after,
        latency_ms: i32::try_from(record.latency.as_millis()).unwrap_or(i32::MAX),
        estimated: record.estimated,
        streamed: record.streamed,
        finish_reason: storable(&record.finish_reason),
        provider: record.provider.clone(),
        session_id: record.session_id,
    }
}
