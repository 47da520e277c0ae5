//! Tickets: the proof of a hold, and the only way to close it.
//!
//! A ticket that is dropped releases its hold. Its place in the ledger's queue was taken together with the hold, so a
//! settle is never refused for load.

use super::command::{Closing, Command, Outcome, Place, Terms, Upon};
use super::handle::Desk;
use super::messages::{CallRecord, LedgerError, Settled};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use tollgate_domain::{HoldId, Nanos};

/// A hold that was asked for, or is to be. Nothing may reach the client before it is [confirmed](Ticket::confirm).
#[derive(Debug)]
pub struct Ticket {
    desk: Arc<Desk>,
    terms: Terms,
    early: bool,
    pending: Option<Pending>,
}

#[derive(Debug)]
pub(super) struct Pending {
    pub question: Question,
    /// What came of it, once it was heard.
    pub decided: Option<Outcome>,
    pub place: Place,
    /// It waits to be written until somebody waits for it.
    pub patient: bool,
}

/// Whether the writer knows of the hold. Its thread, once woken, may take the processor from the one that asks: so a patient hold
/// is asked for when its caller waits, which has sent the call by then or waits for a connection, too.
#[derive(Debug)]
pub(super) enum Question {
    Unasked { least: i64 },
    Asked(oneshot::Receiver<Outcome>),
}

/// How a settle on a pending hold ended.
#[derive(Debug)]
pub enum EarlySettle {
    Settled(Settled),
    /// Nothing is charged: the hold is for less than was asked.
    Lowered(ConfirmedTicket),
}

/// A hold that is durable. Close it with [`settle`](Self::settle) or [`release`](Self::release).
#[derive(Debug)]
pub struct ConfirmedTicket {
    desk: Arc<Desk>,
    terms: Terms,
    place: Option<Place>,
}

/// Proof for a model gateway that the call is paid for.
#[derive(Debug)]
pub struct CallPermit {
    hold: HoldId,
}

impl CallPermit {
    /// The hold that pays.
    #[must_use]
    pub const fn hold_id(&self) -> HoldId {
        self.hold
    }
}

impl Ticket {
    pub(super) const fn new(desk: Arc<Desk>, terms: Terms, early: bool, pending: Pending) -> Self {
        Self { desk, terms, early, pending: Some(pending) }
    }

    #[must_use]
    pub const fn hold_id(&self) -> HoldId {
        self.terms.hold
    }

    /// A permit before the hold is durable, when the last known balance is at least ten times the hold.
    #[must_use]
    pub fn early_permit(&self) -> Option<CallPermit> {
        self.early.then_some(CallPermit { hold: self.terms.hold })
    }

    /// Waits until the hold is durable.
    ///
    /// # Errors
    /// `Insufficient` when it was refused, `Conflict` when the id means another hold, `Unavailable` without database.
    pub async fn confirm(mut self) -> Result<ConfirmedTicket, LedgerError> {
        self.hurry();
        // While this waits, `pending` stays in place: a caller that is dropped here still releases the hold.
        self.decided().await;
        let Some(Pending { decided, place, .. }) = self.pending.take() else { return Err(LedgerError::Unavailable) };
        match decided {
            Some(Outcome::Held { granted }) => Ok(self.granted(granted, Some(place))),
            refused => {
                self.desk.live.remove(self.terms.hold);
                Err(if let Some(Outcome::Failed(error)) = refused { error } else { LedgerError::Unavailable })
            }
        }
    }

    fn hurry(&mut self) {
        match &mut self.pending {
            Some(Pending { question: Question::Unasked { .. }, patient, .. }) => *patient = false,
            Some(Pending { question: Question::Asked(decision), decided: None, patient: true, .. }) if decision.is_empty() => {
                drop(self.desk.send(Command::Hurry(self.terms.hold), None));
            }
            _ => {}
        }
    }

    /// Whether the writer knows of the hold. One that was never asked for can be dropped for nothing.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        !matches!(self.pending, Some(Pending { question: Question::Unasked { .. }, .. }))
    }

    /// Tells the writer of the hold, if it does not know of it yet.
    pub(super) fn ask(&mut self) {
        if let Some(Pending { question, place, patient, .. }) = &mut self.pending
            && let Question::Unasked { least } = *question
        {
            let hold = Command::Hold { terms: self.terms, least };
            // From here on it is the ledger that is waited for.
            let in_line = Some(self.desk.line.enter());
            *question = Question::Asked(self.desk.queue_up(hold, Some(Arc::clone(place)), in_line, *patient));
        }
    }

    /// Waits until the hold is decided: then [`confirm`](Self::confirm) answers at once. Whoever stops waiting loses nothing.
    pub async fn decided(&mut self) {
        self.ask();
        if let Some(Pending { question: Question::Asked(decision), decided: decided @ None, .. }) = &mut self.pending {
            *decided = Some(decision.await.unwrap_or(Outcome::Failed(LedgerError::Unavailable)));
        }
    }

    /// Charges a call that was made with an [early permit](Self::early_permit) and is over before the hold is durable. Both become
    /// so together, or the hold first.
    ///
    /// # Errors
    /// Nothing is charged: the hold's, as of [`confirm`](Self::confirm); `Unavailable`.
    pub async fn settle(mut self, record: CallRecord) -> Result<EarlySettle, LedgerError> {
        self.ask();
        let Some(pending) = &self.pending else { return Err(LedgerError::Unavailable) };
        let closing = Closing::Settle { record: Box::new(record), upon: Upon::PendingHold };
        let place = Some(Arc::clone(&pending.place));
        let error = match self.desk.send(Command::Close { terms: self.terms, closing }, place).await {
            Ok(Outcome::Settled(settled)) => {
                self.pending = None;
                self.desk.live.remove(self.terms.hold);
                return Ok(EarlySettle::Settled(settled));
            }
            Ok(Outcome::Failed(error)) => error,
            Ok(_) | Err(_) => LedgerError::Unavailable,
        };
        let asked = self.terms.asked;
        let ticket = self.confirm().await?;
        if ticket.terms.amount < asked { Ok(EarlySettle::Lowered(ticket)) } else { Err(error) }
    }

    fn granted(&self, granted: i64, place: Option<Place>) -> ConfirmedTicket {
        let terms = Terms { amount: granted, ..self.terms };
        ConfirmedTicket { desk: Arc::clone(&self.desk), terms, place }
    }
}

impl Drop for Ticket {
    /// A hold that was granted while no one waited is released here; one that is granted later is released by the
    /// writer, which finds no one at the other end.
    fn drop(&mut self) {
        let Some(Pending { question, decided, place, .. }) = self.pending.take() else { return };
        let heard = match question {
            Question::Unasked { .. } => None,
            Question::Asked(mut decision) => {
                decision.close();
                decided.or_else(|| decision.try_recv().ok())
            }
        };
        match heard {
            Some(Outcome::Held { granted }) => drop(self.granted(granted, Some(place))),
            _ => self.desk.live.remove(self.terms.hold),
        }
    }
}

impl ConfirmedTicket {
    #[must_use]
    pub const fn hold_id(&self) -> HoldId {
        self.terms.hold
    }

    /// What was reserved: what was asked for, or what there was, and never below `least`.
    #[must_use]
    pub const fn granted(&self) -> Nanos {
        Nanos(self.terms.amount)
    }

    #[must_use]
    pub const fn permit(&self) -> CallPermit {
        CallPermit { hold: self.terms.hold }
    }

    /// Charges the call. The settle is on its way when this returns; the receipt only tells how it ended.
    #[must_use = "the client's last bytes wait for the receipt"]
    pub fn settle(mut self, record: CallRecord) -> Receipt {
        Receipt { answer: self.close(Closing::Settle { record: Box::new(record), upon: Upon::Hold }) }
    }

    /// Gives the hold back, in full.
    pub fn release(self) {
        drop(self);
    }

    fn close(&mut self, closing: Closing) -> Option<oneshot::Receiver<Outcome>> {
        let place = self.place.take()?;
        // Queued first: what is neither live nor queued, the keeper may close.
        let answer = self.desk.send(Command::Close { terms: self.terms, closing }, Some(place));
        self.desk.live.remove(self.terms.hold);
        Some(answer)
    }
}

impl Drop for ConfirmedTicket {
    fn drop(&mut self) {
        self.close(Closing::Release);
    }
}

/// The answer to a settle.
#[derive(Debug)]
pub struct Receipt {
    answer: Option<oneshot::Receiver<Outcome>>,
}

impl Future for Receipt {
    type Output = Result<Settled, LedgerError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answer) = self.answer.as_mut() else { return Poll::Ready(Err(LedgerError::Unavailable)) };
        Poll::Ready(match ready!(Pin::new(answer).poll(cx)) {
            Ok(Outcome::Settled(settled)) => Ok(settled),
            Ok(Outcome::Failed(error)) => Err(error),
            Ok(_) | Err(_) => Err(LedgerError::Unavailable),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::{Envelope, Seat};
    use super::super::messages::{Asset, UserAccounts};
    use super::*;
    use futures_util::FutureExt;
    use std::time::Duration;
    use tokio::sync::{Semaphore, mpsc};
    use tollgate_domain::{AccountId, GatewayId, KeyId, TokenUsage, UserId};

    /// A patient ticket, the queue that its commands go to, and the places that it has one of.
    fn patient() -> (Ticket, mpsc::Receiver<Envelope>, Arc<Semaphore>) {
        let (desk, queue) = Desk::new();
        let places = Arc::new(Semaphore::new(1));
        let place = Seat::of(Arc::clone(&places).try_acquire_owned().unwrap());
        let accounts = UserAccounts { user: UserId(1), asset: Asset::Usd, credits: AccountId(1), debt: AccountId(2) };
        let lifetime = Duration::from_secs(60);
        let hold = HoldId(uuid::Uuid::from_u128(1));
        let terms = Terms { hold, accounts, key: KeyId(1), budget: None, asked: 5, amount: 5, lifetime };
        desk.live.insert(&terms);
        let pending = Pending { question: Question::Unasked { least: 1 }, decided: None, place, patient: true };
        (Ticket::new(desk, terms, true, pending), queue, places)
    }

    fn next_hold(queue: &mut mpsc::Receiver<Envelope>) -> Option<Envelope> {
        queue.try_recv().ok().inspect(|envelope| assert!(matches!(envelope.command, Command::Hold { least: 1, .. })))
    }

    // Mutant, red: a dropped ticket that stays among the live holds.
    #[tokio::test]
    async fn a_patient_hold_that_nobody_has_waited_for_is_never_asked_for() {
        let (ticket, mut queue, places) = patient();
        let desk = Arc::clone(&ticket.desk);
        assert!(!ticket.is_asked() && desk.live.contains(ticket.hold_id()));
        let hold = ticket.hold_id();
        drop(ticket);
        assert!(queue.try_recv().is_err() && !desk.live.contains(hold));
        assert_eq!(places.available_permits(), 1);
    }

    // Mutant, red: a hold that is asked for with each wait.
    #[tokio::test]
    async fn whoever_waits_asks_once_and_who_confirms_makes_it_urgent() {
        let (mut ticket, mut queue, _) = patient();
        assert!(ticket.decided().now_or_never().is_none() && ticket.is_asked());
        let asked = next_hold(&mut queue).unwrap();
        assert!(asked.patient);
        assert!(ticket.decided().now_or_never().is_none() && queue.try_recv().is_err());
        let (ticket, mut queue, _) = patient();
        let mut confirming = Box::pin(ticket.confirm());
        assert!(confirming.as_mut().now_or_never().is_none());
        let asked = next_hold(&mut queue).unwrap();
        // Mutant, red: a hurry that leaves an unasked hold patient.
        assert!(!asked.patient && queue.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_settle_tells_of_its_hold_first() {
        let (ticket, mut queue, _) = patient();
        let record = CallRecord {
            model: "test/model".to_owned(),
            gateway: GatewayId::OpenRouter,
            usage: TokenUsage::default(),
            cost: Nanos(1),
            latency: Duration::ZERO,
            estimated: false,
            streamed: false,
            finish_reason: "stop".to_owned(),
            provider: "Other".into(),
            session_id: None,
        };
        let mut settling = Box::pin(ticket.settle(record));
        assert!(settling.as_mut().now_or_never().is_none());
        // Mutant, red: a settle without its hold.
        let _hold = next_hold(&mut queue).unwrap();
        assert!(matches!(queue.try_recv().unwrap().command, Command::Close { .. }));
    }
}
