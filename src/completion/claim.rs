//! `Idempotency-Key`: a request that is sent again has one effect (decision 25).

use super::PlainAnswer;
use super::admission::ReadOrder;
use super::history::TURN_PATIENCE;
use crate::http::error::ApiError;
use crate::startup::Services;
use actix_web::http::StatusCode;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tollgate_domain::{GenerationId, HoldId};
use tollgate_store::Store;
use tollgate_store::idempotency::{self, Claimed};

const RETRY_SOON: Duration = Duration::from_secs(1);
/// While a call waits for its session's turn it has no hold, and is no less alive.
const WITHOUT_HOLD_MAX: Duration = TURN_PATIENCE.saturating_add(Duration::from_secs(10));

/// A key that is ours to use. Dropped without [`Claim::answered`], it is given back: nothing was charged.
pub struct Claim {
    store: Store,
    claim: idempotency::Claim,
    is_kept: bool,
}

/// What a key has led to.
pub(super) enum Claiming {
    /// The call is to be made; without a key there is nothing to remember.
    Ours(Option<Claim>),
    Answered(PlainAnswer),
}

/// Claims the order's key, if it has one.
///
/// # Errors
/// 409 while the first request runs, or when its answer is not to be had again; 422 when the key was used for another.
pub(super) async fn claim(services: &Services, order: &ReadOrder) -> Result<Claiming, ApiError> {
    let Some(key) = &order.idempotency_key else { return Ok(Claiming::Ours(None)) };
    let claim = idempotency::Claim {
        user: order.caller.user,
        key: key.clone(),
        body_hash: Sha256::digest(&order.body).into(),
        hold: order.hold,
        streamed: order.request.stream,
    };
    let patience = services.settings.money.hold_lifetime.max(WITHOUT_HOLD_MAX);
    // Boxed, as all that most calls do without: their futures carry nothing of it.
    match Box::pin(idempotency::claim(&services.store, &claim, services.clock.now(), patience)).await? {
        Claimed::Fresh => Ok(Claiming::Ours(Some(Claim { store: services.store.clone(), claim, is_kept: false }))),
        Claimed::Answered { hold, status, content_type, body } => Ok(Claiming::Answered(PlainAnswer {
            generation: GenerationId::of(hold),
            status,
            content_type,
            body: body.into(),
            max_tokens_lowered: None,
        })),
        Claimed::Running => Err(ApiError::conflict("The first request with this Idempotency-Key is still running")
            .with_code("idempotency_key_in_use")
            .with_retry_after(RETRY_SOON)),
        Claimed::Gone { hold } => Err(gone(hold)),
        Claimed::OtherRequest => Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "This Idempotency-Key was used with another request",
        )),
    }
}

fn gone(hold: HoldId) -> ApiError {
    let generation = GenerationId::of(hold);
    ApiError::conflict(format!("This request was answered already, as {generation}; a stream can't be repeated"))
        .with_code("idempotency_key_in_use")
        .with_header("x-generation-id", generation.as_str())
}

impl Claim {
    /// The call was charged: the key answers this from now on, or, without an answer, that there is none to be had.
    pub(super) async fn answered(mut self, answer: Option<&PlainAnswer>) {
        self.is_kept = true;
        let stored = answer.map(|answer| (answer.content_type.as_str(), answer.body.as_ref()));
        let status = answer.map_or(200, |answer| answer.status);
        if let Err(error) = Box::pin(idempotency::finish(&self.store, &self.claim, status, stored)).await {
            tracing::warn!(%error, "an answer could not be stored under its Idempotency-Key");
        }
    }
}

impl Drop for Claim {
    // Mutant: an empty body keeps the key of a failed call: `a_failed_call_frees_its_key` is red.
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let (store, claim) = (self.store.clone(), self.claim.clone());
        self.store.io().spawn(async move {
            if let Err(error) = idempotency::free(&store, &claim).await {
                tracing::warn!(%error, "an Idempotency-Key was not given back");
            }
        });
    }
}
