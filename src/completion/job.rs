//! One call, from its hold to its settle.

use super::admission::{CallQuery, of_ledger};
use super::attempt::{Attempts, Reach};
use super::bill::Bill;
use super::claim::Claim;
use super::estimate::Quote;
use super::history::SessionTurn;
use super::note;
use super::portkey;
use super::refusal;
use super::request::ChatRequest;
use super::route::Offer;
use super::settle::{self, Basis, Charge, Received};
use crate::adapters::Gateways;
use crate::http::error::ApiError;
use crate::startup::Services;
use actix_web::web;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollgate_actors::identity::{Caller, RequestSlot};
use tollgate_actors::ledger::{CallRecord, ConfirmedTicket, EarlySettle, LedgerError, Ticket};
use tollgate_actors::limiter::Permit;
use tollgate_actors::ports::{GatewayError, UpstreamCall};
use tollgate_domain::{Budget, GatewayId, GenerationId, HoldId, Nanos};

/// A chat session's messages are written beside the settle. The answer waits so long at most for them, so that who has it finds
/// them in the session.
const SESSION_SAVE_WAIT: Duration = Duration::from_millis(200);

/// What the call's task owns.
pub(super) struct Job {
    pub services: web::Data<Services>,
    pub gateways: Gateways,
    pub caller: Arc<Caller>,
    pub query: CallQuery,
    pub request: ChatRequest,
    pub offers: Vec<Offer>,
    pub quote: Quote,
    pub hold: HoldId,
    pub generation: GenerationId,
    pub started: Instant,
    pub permit: Permit,
    /// When the call began, by the clock.
    pub at: DateTime<Utc>,
    pub slot: Option<RequestSlot>,
    pub claim: Option<Claim>,
    /// Of a call that belongs to a chat session; dropped, it leaves nothing there.
    pub session: Option<Box<SessionTurn>>,
}

/// A provider's answer, or its beginning, under a hold that is durable.
pub(super) struct Opened<T> {
    pub ticket: ConfirmedTicket,
    pub answered: T,
    /// Completion tokens for each choice, below what was asked for.
    pub limit: Option<i64>,
}

/// What was there first.
pub(super) enum Begun<T> {
    Held(Opened<T>),
    Answered(Ticket, T),
}

impl Job {
    /// Waits for the hold and makes the call; both at once where the balance is far above the hold (decision 15).
    ///
    /// # Errors
    /// The hold was refused, or no provider answered. Nothing is charged.
    pub async fn open<'a, R: Reach>(
        &self,
        ticket: Ticket,
        attempts: &mut Attempts<'a>,
    ) -> Result<Opened<R::Answer<'a>>, ApiError> {
        match self.begin::<R>(ticket, attempts).await? {
            Begun::Held(opened) => Ok(opened),
            Begun::Answered(ticket, answered) => {
                let ticket = self.confirm(ticket).await?;
                self.answer_within::<R>(ticket, Some(Ok(answered)), attempts).await
            }
        }
    }

    /// As [`open`](Self::open), but an answer that is there before the hold is durable does not wait for it.
    ///
    /// # Errors
    /// As of `open`.
    pub async fn begin<'a, R: Reach>(
        &self,
        mut ticket: Ticket,
        attempts: &mut Attempts<'a>,
    ) -> Result<Begun<R::Answer<'a>>, ApiError> {
        self.services.actors.upstreams.called(self.started);
        let Some(permit) = ticket.early_permit() else {
            let ticket = self.confirm(ticket).await?;
            return Box::pin(self.answer_within::<R>(ticket, None, attempts)).await.map(Begun::Held);
        };
        let (ticket, outcome) = {
            let mut calling = pin!(R::ask(attempts, &permit, None));
            // The call first: what the hold wakes would stand in its way.
            let first = match select(calling.as_mut(), pin!(ticket.decided())).await {
                Either::Left((outcome, _)) => Some(outcome),
                Either::Right(_) => None,
            };
            match first {
                Some(Ok(answered)) => return Ok(Begun::Answered(ticket, answered)),
                // Nobody could be asked: then there is nothing to hold for.
                Some(Err(refusal)) if !ticket.is_asked() => return Err(refusal),
                Some(failed) => (self.confirm(ticket).await?, Some(failed)),
                None => {
                    let ticket = self.confirm(ticket).await?;
                    // With less than the call may use it is made again, with a limit.
                    let fits = ticket.granted() >= self.quote.amount;
                    let outcome = if fits { Some(calling.await) } else { None };
                    (ticket, outcome)
                }
            }
        };
        Box::pin(self.answer_within::<R>(ticket, outcome, attempts)).await.map(Begun::Held)
    }

    async fn confirm(&self, ticket: Ticket) -> Result<ConfirmedTicket, ApiError> {
        ticket.confirm().await.map_err(|error| self.refused(error))
    }

    /// The outcome of the call, unless it may have used more than was granted: then another one, with a limit.
    ///
    /// # Errors
    /// No provider answered.
    pub async fn answer_within<'a, R: Reach>(
        &self,
        ticket: ConfirmedTicket,
        outcome: Option<Result<R::Answer<'a>, ApiError>>,
        attempts: &mut Attempts<'a>,
    ) -> Result<Opened<R::Answer<'a>>, ApiError> {
        let limit = self.quote.limit(&self.request, &self.offers, ticket.granted());
        let answered = match outcome.filter(|_| limit.is_none()) {
            Some(outcome) => outcome?,
            None => R::ask(attempts, &ticket.permit(), limit).await?,
        };
        Ok(Opened { ticket, answered, limit })
    }

    /// Why there is no hold. What is needed is the least that would have done.
    fn refused(&self, error: LedgerError) -> ApiError {
        let needed = self.quote.least;
        match error {
            LedgerError::Insufficient { available, .. } => of_ledger(LedgerError::Insufficient { needed, available }),
            LedgerError::OverBudget { available, .. } => {
                let refusal = of_ledger(LedgerError::OverBudget { needed, available });
                match &self.caller.budget {
                    Some(budget) => refusal.with_message(self.over_budget(budget, available)),
                    None => refusal,
                }
            }
            other => of_ledger(other),
        }
    }

    /// Names the budget, and says when there is more.
    fn over_budget(&self, budget: &Budget, available: Nanos) -> String {
        let (name, period, limit, needed) = (&self.caller.key_name, budget.period.as_str(), budget.limit, self.quote.least);
        let mut text = format!(
            "The {period} budget of the API key '{name}', ${limit}, is used up. Required: ${needed}, Available: ${available}"
        );
        if let Some(end) = budget.window(self.at).ends_at {
            text.push_str(&format!(". It is full again at {}", end.to_rfc3339_opts(SecondsFormat::Secs, true)));
        }
        text
    }

    /// Whose key pays the gateway: with a virtual key of Portkey's it is the caller's.
    pub const fn is_our_key(&self, gateway: GatewayId) -> bool {
        !matches!(gateway, GatewayId::Portkey) || self.request.portkey_virtual_key.is_none()
    }

    /// What the client is told of a gateway's failure.
    pub fn refusal(&self, gateway: GatewayId, error: &GatewayError) -> ApiError {
        let error = self.gateways.get(gateway).map_or_else(|| error.clone(), |gateway| gateway.without_key(error));
        refusal::of_gateway(gateway, &error)
    }

    pub fn upstream_call(&self, offer: &Offer, body: Bytes) -> UpstreamCall {
        let headers = match offer.gateway {
            GatewayId::Portkey => portkey::headers(&self.request, &offer.upstream_id),
            _ => Vec::new(),
        };
        UpstreamCall { body, streamed: self.request.stream, generation_id: self.generation.as_str().to_owned(), headers }
    }

    /// Settles the call, or releases its hold when nothing is owed. Returns when that is durable.
    ///
    /// # Errors
    /// The ledger did not say how the settle ended: the answer must not be given away.
    pub async fn close(&mut self, ticket: ConfirmedTicket, offer: &Offer, received: &Received) -> Result<Bill, ApiError> {
        let latency = self.started.elapsed();
        let charge = self.charge(offer, received, ticket.granted());
        note::count(offer.gateway, received, charge.as_ref());
        let Some(charge) = charge else {
            ticket.release();
            let balance = self.services.actors.ledger.known_balance(self.caller.accounts.credits);
            return Ok(Bill { charge: None, balance_after: balance, latency });
        };
        let receipt = ticket.settle(self.record(offer, received, &charge));
        let saving = self.session.take().map(|session| session.save(self.hold, offer.name(&self.request), charge.usage.total()));
        // It is charged, now or out of the journal, whatever the receipt says.
        self.keep_count(&charge);
        let settled = receipt.await.map_err(of_ledger)?;
        if let Some(saving) = saving {
            saving.wait(SESSION_SAVE_WAIT).await;
        }
        Ok(Bill { charge: Some(charge), balance_after: Some(settled.balance_after), latency })
    }

    /// Settles a call whose hold is not durable yet. The ticket comes back when there is nothing to settle, or the hold is for less
    /// than the call may have used.
    ///
    /// # Errors
    /// The hold was refused; as of [`close`](Self::close).
    pub async fn close_early(
        &mut self,
        ticket: Ticket,
        offer: &Offer,
        received: &Received,
    ) -> Result<Result<Bill, ConfirmedTicket>, ApiError> {
        let latency = self.started.elapsed();
        let Some(charge) = self.charge(offer, received, self.quote.amount) else {
            return self.confirm(ticket).await.map(Err);
        };
        let settled = ticket.settle(self.record(offer, received, &charge)).await.map_err(|error| self.refused(error))?;
        Ok(match settled {
            EarlySettle::Lowered(ticket) => Err(ticket),
            EarlySettle::Settled(settled) => {
                note::count(offer.gateway, received, Some(&charge));
                self.keep_count(&charge);
                Ok(Bill { charge: Some(charge), balance_after: Some(settled.balance_after), latency })
            }
        })
    }

    fn charge(&self, offer: &Offer, received: &Received, granted: Nanos) -> Option<Charge> {
        let (prompt, choices) = (self.request.prompt, self.request.choices);
        // Few models have such a line, and only for them the body is looked through.
        let hour_cache = offer.prices.base.rare.cache_write_1h.is_some() && self.request.asks_for_hour_cache();
        let (offer, at, quote) = (offer.clone(), self.at, self.quote);
        settle::charge(received, &Basis { offer, at, quote, granted, prompt, choices, hour_cache })
    }

    fn record(&self, offer: &Offer, received: &Received, charge: &Charge) -> CallRecord {
        CallRecord {
            model: offer.name(&self.request).to_owned(),
            gateway: offer.gateway,
            usage: charge.usage,
            cost: charge.cost,
            latency: self.started.elapsed(),
            estimated: charge.estimated,
            streamed: self.request.stream,
            finish_reason: note::finish_reason(received).to_owned(),
            provider: note::provider_of(offer.name(&self.request)).into(),
            session_id: self.query.session_id,
        }
    }

    /// The call counts against the key's cap, and its real tokens against the limits and the trial.
    fn keep_count(&mut self, charge: &Charge) {
        if let Some(slot) = self.slot.take() {
            slot.keep();
        }
        let identity = &self.services.actors.identity;
        identity.used(&self.caller);
        self.permit.settle(identity, charge.usage.total());
    }
}
