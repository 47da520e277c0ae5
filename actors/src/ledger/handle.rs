//! The ledger's handle: what the rest of the house holds.

use super::answers::Home;
use super::budgets::Budgets;
use super::command::{Command, Envelope, Outcome, Place, Seat, Terms};
use super::line::{InLine, Line};
use super::live::LiveHolds;
use super::messages::{Balance, Credit, HoldRequest, LedgerError, UserAccounts};
use super::ticket::{Pending, Question, Ticket};
use moka::sync::Cache;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tollgate_domain::{AccountId, Nanos};
use tollgate_store::Store;

/// Holds that may be open at once in this process, if the settings don't say less. Each is a call under way with its buffers; more
/// would not be answered in good time on any machine that this runs on.
pub const OPEN_HOLDS_MAX: usize = 16_384;
/// Credits under way at once: sign-ups, payments, grants.
const CREDITS_MAX: usize = 256;
/// Holds that the keeper closes in one go.
pub const DUE_AT_ONCE: usize = 5_000;
/// Accounts whose last balance is remembered, at about 100 bytes each.
pub const KNOWN_ACCOUNTS_MAX: u64 = 200_000;

/// What the handle and its tickets share.
#[derive(Debug)]
pub struct Desk {
    queue: mpsc::Sender<Envelope>,
    pub(super) live: LiveHolds,
    pub(super) line: Arc<Line>,
    /// Last known available balance by account; written by the writer after each commit.
    pub(super) known: Cache<AccountId, Nanos>,
}

impl Desk {
    /// The desk, and the queue that the writer serves. Its capacity covers a hold, a hurry and a closing for every place, so
    /// a send to it can't fail for want of room.
    pub fn new() -> (Arc<Self>, mpsc::Receiver<Envelope>) {
        let (queue, receiver) = mpsc::channel(3 * OPEN_HOLDS_MAX + 2 * CREDITS_MAX + DUE_AT_ONCE);
        let desk = Self { queue, live: LiveHolds::default(), line: Arc::default(), known: Cache::new(KNOWN_ACCOUNTS_MAX) };
        (Arc::new(desk), receiver)
    }

    /// Queues the command. The receiver fails when the writer is gone.
    pub(super) fn send(&self, command: Command, place: Option<Place>) -> oneshot::Receiver<Outcome> {
        self.queue_up(command, place, None, false)
    }

    pub(super) fn queue_up(
        &self,
        command: Command,
        place: Option<Place>,
        in_line: Option<InLine>,
        patient: bool,
    ) -> oneshot::Receiver<Outcome> {
        let (reply, answer) = oneshot::channel();
        if self.queue.try_send(Envelope { command, reply, place, patient, in_line, home: Home::here() }).is_err() {
            tracing::error!("the ledger's queue is closed or over its bound");
        }
        answer
    }

    /// Commands that wait to be written.
    pub(super) fn queued(&self) -> usize {
        self.queue.max_capacity().saturating_sub(self.queue.capacity())
    }
}

/// The ledger, as everyone sees it.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) desk: Arc<Desk>,
    places: Arc<Semaphore>,
    open_max: usize,
    credits: Arc<Semaphore>,
    pub(super) budgets: Arc<Budgets>,
    pub(super) store: Store,
}

impl Ledger {
    pub(super) fn new(desk: Arc<Desk>, store: Store, open_max: usize) -> Self {
        let places = Arc::new(Semaphore::new(open_max));
        let credits = Arc::new(Semaphore::new(CREDITS_MAX));
        Self { desk, places, open_max, credits, budgets: Arc::default(), store }
    }

    /// Would a hold be taken now? Who is to be refused anyway need not be read first.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.places.available_permits() > 0 && !self.desk.line.is_slow()
    }

    /// Asks for a hold; for a patient one with an early permit as soon as its ticket waits. The ticket is pending until it is confirmed.
    ///
    /// # Errors
    /// `Overloaded` when too many holds are open in this process, or those that are asked for wait too long; `Conflict` for a negative amount.
    pub fn hold(&self, request: HoldRequest) -> Result<Ticket, LedgerError> {
        let HoldRequest { id, accounts, key, budget, amount, least, lifetime, patient } = request;
        if amount.is_negative() {
            return Err(LedgerError::Conflict("amount: less than nothing can't be held"));
        }
        if self.desk.line.is_slow() {
            return Err(LedgerError::Overloaded);
        }
        let place = Seat::of(Arc::clone(&self.places).try_acquire_owned().map_err(|_| LedgerError::Overloaded)?);
        let terms = Terms { hold: id, accounts, key, budget, asked: amount.0, amount: amount.0, lifetime };
        let is_plenty = |account| self.known_balance(account).is_some_and(|known| known.0 / 10 >= amount.0);
        let early = is_plenty(accounts.credits) && budget.is_none_or(is_plenty);
        let patient = patient && early;
        self.desk.live.insert(&terms);
        let question = Question::Unasked { least: least.0.min(amount.0) };
        let mut ticket = Ticket::new(Arc::clone(&self.desk), terms, early, Pending { question, decided: None, place, patient });
        if !patient {
            ticket.ask();
        }
        Ok(ticket)
    }

    /// Puts money in. Safe to repeat under the same id.
    ///
    /// # Errors
    /// `Conflict` when the id was used for another credit; `Overloaded`, `Unavailable`.
    pub async fn credit(&self, credit: Credit) -> Result<Balance, LedgerError> {
        if credit.amount.0 <= 0 {
            return Err(LedgerError::Conflict("amount: only more than nothing can be credited"));
        }
        let place = Seat::of(Arc::clone(&self.credits).try_acquire_owned().map_err(|_| LedgerError::Overloaded)?);
        match self.desk.send(Command::Credit(Box::new(credit)), Some(place)).await {
            Ok(Outcome::Credited(balance)) => Ok(balance),
            Ok(Outcome::Failed(error)) => Err(error),
            Ok(_) | Err(_) => Err(LedgerError::Unavailable),
        }
    }

    /// The balance as the database has it now.
    ///
    /// # Errors
    /// `Unknown` for accounts that are not there, `Unavailable` without database.
    pub async fn balance(&self, accounts: UserAccounts) -> Result<Balance, LedgerError> {
        let ids = [accounts.credits.0, accounts.debt.0];
        let rows = tollgate_store::ledger::accounts(&self.store, &ids).await.map_err(|error| {
            tracing::warn!(%error, "a balance could not be read");
            LedgerError::Unavailable
        })?;
        let find = |id: AccountId| rows.iter().find(|row| row.id == id.0);
        let credits = find(accounts.credits).ok_or(LedgerError::Unknown("account"))?;
        let owed = find(accounts.debt).map_or(0, |row| row.posted.saturating_neg());
        Ok(Balance { credits: Nanos(credits.posted), held: Nanos(credits.held), debt: Nanos(owed) })
    }

    /// The available balance as of the last commit that touched the account here; no I/O. `None`: not seen lately.
    #[must_use]
    pub fn known_balance(&self, account: AccountId) -> Option<Nanos> {
        self.desk.known.get(&account)
    }

    /// Makes the writer panic in the middle of a batch (promise P8), and tells how that command was answered.
    ///
    /// # Errors
    /// Always: `Unavailable`, as for every command that can't be written.
    #[cfg(any(test, feature = "fault-injection"))]
    pub async fn crash_writer(&self) -> Result<(), LedgerError> {
        match self.desk.send(Command::Panic, None).await {
            Ok(Outcome::Failed(error)) => Err(error),
            Ok(_) => Ok(()),
            Err(_) => Err(LedgerError::Unavailable),
        }
    }

    /// Holds open in this process, and commands that wait to be written: for metrics.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.open_max.saturating_sub(self.places.available_permits()), self.desk.queued())
    }
}
