//! How the limiter's refusals look to the caller of a model.

use crate::http::error::ApiError;
use crate::startup::Services;
use tollgate_actors::identity::{Caller, TrialRefusal};
use tollgate_actors::limiter::{Permit, Refusal};
use tollgate_domain::Nanos;

/// Admits a call that may come to so many tokens.
///
/// # Errors
/// 429, or 403 when the time of the trial is over.
pub(super) async fn admit(services: &Services, caller: &Caller, tokens: i64) -> Result<Permit, ApiError> {
    let refusal = match services.actors.limiter.admit(caller, tokens).await {
        Ok(permit) => return Ok(permit),
        Err(refusal) => refusal,
    };
    Err(match refusal {
        Refusal::Trial(refusal) => of_trial(refusal, services.actors.ledger.known_balance(caller.accounts.credits)),
        refusal => of_limit(&refusal),
    })
}

fn of_limit(refusal: &Refusal) -> ApiError {
    let code = if refusal.is_of_plan() { "plan_limit_exceeded" } else { "rate_limit_exceeded" };
    let error = ApiError::too_many_requests(refusal.to_string(), refusal.retry_after()).with_code(code);
    if refusal.is_curable() { error } else { error.with_header("x-should-retry", "false") }
}

/// Decision 2: time over is 403, tokens or requests used up 429.
fn of_trial(refusal: TrialRefusal, credits: Option<Nanos>) -> ApiError {
    let text = refusal.to_string();
    match refusal {
        TrialRefusal::Over { ended_at } => ApiError::forbidden(text)
            .with_code("trial_expired")
            .with_header("x-trial-expired", "true")
            .with_header("x-trial-end-date", ended_at.to_rfc3339()),
        TrialRefusal::UsedUp { tokens_remaining, requests_remaining } => {
            let error = ApiError::too_many_requests(text, None)
                .with_code("trial_limit_exceeded")
                .with_header("x-should-retry", "false")
                .with_header("x-trial-remaining-tokens", tokens_remaining.to_string())
                .with_header("x-trial-remaining-requests", requests_remaining.to_string());
            match credits {
                Some(credits) => error.with_header("x-trial-remaining-credits", credits.to_string()),
                None => error,
            }
        }
    }
}
