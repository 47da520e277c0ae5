//! One call, from its hold to its settle.

use super::admission::{CallQuery, of_ledger};
use super::bill::Bill;
use super::claim::Claim;
use super::estimate::Quote;
use super::note;
use super::refusal;
use super::request::{ChatRequest, Limit};
use super::route::Offer;
use super::settle::{self, Basis, Charge, Received};
use crate::adapters::Gateways;
use crate::http::error::ApiError;
use crate::startup::Services;
use actix_web::web;
use bytes::Bytes;
use futures_util::future::{Either, select};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use tollgate_actors::activity::ActivityPlace;
use tollgate_actors::identity::{Caller, RequestSlot};
use tollgate_actors::ledger::{CallPermit, CallRecord, ConfirmedTicket, LedgerError, Ticket};
use tollgate_actors::limiter::Permit;
use tollgate_actors::ports::{GatewayError, UpstreamAnswer, UpstreamCall};
use tollgate_domain::{GatewayId, GenerationId};

/// What the call's task owns.
pub(super) struct Job {
    pub services: web::Data<Services>,
    pub gateways: Gateways,
    pub caller: Arc<Caller>,
    pub query: CallQuery,
    pub request: ChatRequest,
    pub offers: Vec<Offer>,
    pub quote: Quote,
    pub generation: GenerationId,
    pub started: Instant,
    pub permit: Permit,
    pub slot: Option<RequestSlot>,
    pub place: Option<ActivityPlace>,
    pub claim: Option<Claim>,
}

/// A provider that has begun to answer, under a hold that is durable.
pub(super) struct Opened {
    pub ticket: ConfirmedTicket,
    pub offer: Offer,
    pub answer: UpstreamAnswer,
    /// Below what was asked for.
    pub limit: Option<Limit>,
}

/// Who answered, or the last one's refusal.
type Attempt = Result<(Offer, UpstreamAnswer), ApiError>;

impl Job {
    /// Waits for the hold and calls the provider; both at once where the balance is far above the hold (decision 15).
    ///
    /// # Errors
    /// The hold was refused, or no provider answered. Nothing is charged.
    pub async fn open(&self, ticket: Ticket) -> Result<Opened, ApiError> {
        let (ticket, early) = match ticket.early_permit() {
            Some(permit) => self.confirm_while_calling(ticket, permit).await?,
            None => (ticket.confirm().await.map_err(|error| self.refused(error))?, None),
        };
        let limit = self.quote.limit(&self.request, &self.offers, ticket.granted());
        let attempt = match early.filter(|_| limit.is_none()) {
            Some(attempt) => attempt,
            None => self.call(&ticket.permit(), self.request.upstream_body(limit)).await,
        };
        let (offer, answer) = attempt?;
        Ok(Opened { ticket, offer, answer, limit })
    }

    /// A refused hold aborts the call.
    async fn confirm_while_calling(
        &self,
        ticket: Ticket,
        permit: CallPermit,
    ) -> Result<(ConfirmedTicket, Option<Attempt>), ApiError> {
        let confirming = pin!(ticket.confirm());
        let calling = pin!(self.call(&permit, self.request.upstream_body(None)));
        match select(confirming, calling).await {
            Either::Left((confirmed, calling)) => {
                let ticket = confirmed.map_err(|error| self.refused(error))?;
                // Less was granted than the call may use: it is made again, with a limit.
                let fits = ticket.granted() >= self.quote.amount;
                let attempt = if fits { Some(calling.await) } else { None };
                Ok((ticket, attempt))
            }
            // The answer can't go on without the confirmed ticket: its type sees to that.
            Either::Right((attempt, confirming)) => Ok((confirming.await.map_err(|error| self.refused(error))?, Some(attempt))),
        }
    }

    /// Why there is no hold. What is needed is the least that would have done.
    fn refused(&self, error: LedgerError) -> ApiError {
        of_ledger(match error {
            LedgerError::Insufficient { available, .. } => LedgerError::Insufficient { needed: self.quote.least, available },
            other => other,
        })
    }

    /// Asks one provider after the other until one answers. Nothing has gone to the client yet.
    async fn call(&self, permit: &CallPermit, body: Bytes) -> Attempt {
        let mut refused = None;
        for offer in &self.offers {
            let Some(gateway) = self.gateways.get(offer.gateway) else { continue };
            match gateway.complete(permit, self.upstream_call(offer.gateway, body.clone())).await {
                Ok(answer) => return Ok((*offer, answer)),
                Err(error) => {
                    let goes_on = may_fall_back(&error);
                    refused = Some(refusal::of_gateway(offer.gateway, &error));
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        Err(refused.unwrap_or_else(|| {
            ApiError::unavailable(std::time::Duration::from_secs(5)).with_message("No gateway that has this model is switched on")
        }))
    }

    fn upstream_call(&self, gateway: GatewayId, body: Bytes) -> UpstreamCall {
        let mut headers = Vec::new();
        if gateway == GatewayId::Portkey {
            let of_request = [
                ("x-portkey-provider", &self.request.portkey_provider),
                ("x-portkey-virtual-key", &self.request.portkey_virtual_key),
            ];
            headers.extend(of_request.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        }
        UpstreamCall { body, streamed: self.request.stream, generation_id: self.generation.as_str().to_owned(), headers }
    }

    /// Settles the call, or releases its hold when nothing is owed. Returns when that is durable.
    ///
    /// # Errors
    /// The ledger did not say how the settle ended: the answer must not be given away.
    pub async fn close(&mut self, ticket: ConfirmedTicket, offer: Offer, received: &Received) -> Result<Bill, ApiError> {
        let basis = Basis {
            offer,
            quote: self.quote,
            granted: ticket.granted(),
            prompt: self.request.prompt,
            choices: self.request.choices,
        };
        let latency = self.started.elapsed();
        let charge = settle::charge(received, &basis);
        note::count(offer.gateway, received, charge.as_ref());
        let Some(charge) = charge else {
            ticket.release();
            let balance = self.services.actors.ledger.known_balance(self.caller.accounts.credits);
            return Ok(Bill { charge: None, balance_after: balance, latency });
        };
        let receipt = ticket.settle(self.record(offer, received, &charge));
        self.keep_count(&charge);
        let settled = receipt.await.map_err(of_ledger)?;
        if let Some(place) = self.place.take() {
            place.record(note::activity(self, received, &charge, latency));
        }
        Ok(Bill { charge: Some(charge), balance_after: Some(settled.balance_after), latency })
    }

    fn record(&self, offer: Offer, received: &Received, charge: &Charge) -> CallRecord {
        CallRecord {
            model: self.request.model.clone(),
            gateway: offer.gateway,
            usage: charge.usage,
            cost: charge.cost,
            latency: self.started.elapsed(),
            estimated: charge.estimated,
            streamed: self.request.stream,
            finish_reason: note::finish_reason(received).to_owned(),
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

/// Another provider may do better when this one does not know the model (decision 17), can't be reached, or has too much
/// to do.
fn may_fall_back(error: &GatewayError) -> bool {
    match error {
        GatewayError::Connection(_) => true,
        GatewayError::Status { status, .. } => matches!(status, 404 | 429 | 503 | 529),
        GatewayError::Timeout(_) | GatewayError::Malformed(_) | GatewayError::TooLarge => false,
    }
}
