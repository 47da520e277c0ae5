//! Tickets: the proof of a hold, and the only way to close it.
//!
//! A ticket that is dropped releases its hold. Its place in the ledger's queue was taken together with the hold, so a
//! settle is never refused for load.

use super::command::{Closing, Command, Outcome, Place, Terms, Upon};
use super::handle::Desk;
use super::line::InLine;
use super::messages::{CallRecord, LedgerError, Settled};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use tollgate_domain::{HoldId, Nanos};

/// A hold that was asked for. Nothing may reach the client before it is [confirmed](Ticket::confirm).
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

/// Whether the writer knows of the hold. Its thread, once woken, may take the processor from the one that asks: so a patient hold is
/// asked for when its call has gone out and its caller waits.
#[derive(Debug)]
pub(super) enum Question {
    Unasked { least: i64, in_line: Option<InLine> },
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

    /// Tells the writer of the hold, if it does not know of it yet.
    pub(super) fn ask(&mut self) {
        if let Some(Pending { question, place, patient, .. }) = &mut self.pending
            && let Question::Unasked { least, in_line } = question
        {
            let hold = Command::Hold { terms: self.terms, least: *least };
            let decision = self.desk.queue_up(hold, Some(Arc::clone(place)), in_line.take(), *patient);
            *question = Question::Asked(decision);
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
