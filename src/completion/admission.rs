//! From a request's bytes to a hold: everything that can refuse it before money is spent.

use super::claim::Claim;
use super::estimate::{self, Quote};
use super::history::SessionTurn;
use super::job::Job;
use super::limits;
use super::request::ChatRequest;
use super::route::{self, Offer};
use crate::adapters::Gateways;
use crate::http::error::ApiError;
use crate::startup::Services;
use actix_web::web;
use bytes::Bytes;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollgate_actors::identity::Caller;
use tollgate_actors::ledger::{HoldRequest, LedgerError, Ticket};
use tollgate_domain::{AccountId, GenerationId, HoldId};
use uuid::Uuid;

const RETRY_SOON: Duration = Duration::from_secs(1);

/// What came in at the door.
pub struct Order {
    pub caller: Arc<Caller>,
    pub body: Bytes,
    pub query: CallQuery,
    pub idempotency_key: Option<String>,
}

/// What a call may say in its query. Who calls is told by the key, never by this.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
pub struct CallQuery {
    /// The chat session that the call belongs to: what was said in it stands before the request's messages, and the last user
    /// message and the answer are added to it. A session that is unknown or another user's is ignored.
    pub session_id: Option<i64>,
    /// Taken because clients send it; who calls is told by the key.
    #[param(max_length = 255)]
    pub privy_user_id: Option<String>,
}

/// A request that may be held for.
pub(super) struct ReadOrder {
    pub caller: Arc<Caller>,
    pub body: Bytes,
    pub query: CallQuery,
    pub idempotency_key: Option<String>,
    pub request: ChatRequest,
    pub offers: Vec<Offer>,
    pub hold: HoldId,
    pub started: Instant,
}

/// Reads the request and finds who may serve it.
///
/// # Errors
/// 503 before anything is read when no call can be taken: above capacity refusals must cost little. 400, 403 for a model that the key may not use, 404.
pub(super) fn read(services: &Services, order: Order) -> Result<ReadOrder, ApiError> {
    let started = Instant::now();
    if !services.actors.ledger.has_room() {
        return Err(of_ledger(LedgerError::Overloaded));
    }
    let Order { caller, body, query, idempotency_key } = order;
    let mut request = ChatRequest::read(body.clone())?;
    check_allowed(&caller, &request)?;
    let offers = route::offers(&mut request, &services.actors.catalog.snapshot())?;
    Ok(ReadOrder { caller, body, query, idempotency_key, request, offers, hold: HoldId(Uuid::now_v7()), started })
}

fn check_allowed(caller: &Caller, request: &ChatRequest) -> Result<(), ApiError> {
    let Some(allowed) = &caller.models else { return Ok(()) };
    let mut asked = std::iter::once(&request.model).chain(&request.models);
    match asked.find(|model| !is_listed(allowed, model)) {
        None => Ok(()),
        Some(model) => {
            Err(ApiError::forbidden(format!("The model '{model}' is not allowed for this API key")).with_param("model"))
        }
    }
}

/// An entry is a model's id as it is asked for, or the beginning of several, with a `*` behind.
fn is_listed(allowed: &[String], model: &str) -> bool {
    allowed.iter().any(|entry| entry.strip_suffix('*').map_or(model == entry, |beginning| model.starts_with(beginning)))
}

/// Takes everything that the call needs: what can be refused in memory first, the hold last. What was taken is given back
/// when a later part refuses.
///
/// # Errors
/// 429 when a limit is reached or the key's requests are used up, 402 and 403 as money, budget and trial say, 503 when a part is
/// overloaded.
pub(super) async fn admit(
    services: &web::Data<Services>,
    gateways: &Gateways,
    read: ReadOrder,
    claim: Option<Claim>,
    session: Option<Box<SessionTurn>>,
) -> Result<(Box<Job>, Ticket), ApiError> {
    let ReadOrder { caller, query, request, offers, hold, started, .. } = read;
    let actors = &services.actors;
    let permit = limits::admit(services, &caller, estimate::rate_tokens(&request)).await?;
    let slot = actors.identity.take_request(&caller).await?;
    let budget = budget_account(services, &caller).await?;
    let quote = Quote::of(&request, &offers);
    let ticket = actors.ledger.hold(HoldRequest {
        id: hold,
        accounts: caller.accounts,
        key: caller.key,
        budget,
        amount: quote.amount,
        least: quote.least,
        lifetime: services.settings.money.hold_lifetime,
        patient: true,
    });
    let ticket = ticket.map_err(of_ledger)?;
    let job = Box::new(Job {
        services: services.clone(),
        gateways: gateways.clone(),
        caller,
        query,
        request,
        offers,
        quote,
        hold,
        generation: GenerationId::of(hold),
        started,
        permit,
        at: services.clock.now(),
        slot: Some(slot),
        claim,
        session,
    });
    Ok((job, ticket))
}

/// The sub-account of the key's budget; nothing is asked for a key without one, nor again in the same period.
async fn budget_account(services: &Services, caller: &Caller) -> Result<Option<AccountId>, ApiError> {
    let Some(budget) = &caller.budget else { return Ok(None) };
    Box::pin(services.actors.ledger.budget_account(caller.key, budget, services.clock.now())).await.map_err(of_ledger)
}

/// What a caller is told when the ledger refuses.
pub(super) fn of_ledger(error: LedgerError) -> ApiError {
    match error {
        LedgerError::Insufficient { needed, available } => {
            ApiError::payment_required(format!("Insufficient credits. Required: ${needed}, Available: ${available}"))
        }
        LedgerError::OverBudget { needed, available } => {
            let text = format!("The budget of this API key is used up. Required: ${needed}, Available: ${available}");
            ApiError::payment_required(text).with_code("key_budget_exceeded")
        }
        LedgerError::Overloaded | LedgerError::Unavailable => ApiError::unavailable(RETRY_SOON).with_cause(&error),
        LedgerError::Conflict(_) | LedgerError::Unknown(_) => ApiError::internal(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::is_listed;

    #[test]
    fn a_model_is_listed_by_its_id_or_by_its_beginning() {
        let list = ["openai/gpt-4o", "anthropic/*"].map(str::to_owned);
        for listed in ["openai/gpt-4o", "anthropic/claude-3.5-haiku", "anthropic/"] {
            assert!(is_listed(&list, listed), "{listed}");
        }
        for other in
            ["openai/gpt-4o-mini", "openai/gpt-4o:free", "OpenAI/gpt-4o", "gpt-4o", "anthropic", "x/anthropic/y", "*", ""]
        {
            assert!(!is_listed(&list, other), "{other}");
        }
        assert!(is_listed(&["*".to_owned()], "openai/gpt-4o") && !is_listed(&[], "openai/gpt-4o"));
    }
}
