//! How identity's refusals look at the doors: the contract's texts and statuses.

use crate::http::error::ApiError;
use std::time::Duration;
use tollgate_actors::identity::checks::Refusal;
use tollgate_actors::identity::{IdentityError, RateLimits};
use tollgate_actors::ledger::LedgerError;
use tollgate_domain::KeyId;

const RETRY_SOON: Duration = Duration::from_secs(1);

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::Inactive | Refusal::Expired => Self::unauthorized(text),
            // Waiting does not help: the cap is for the key's life.
            Refusal::RequestCap => Self::too_many_requests(text, None).with_header("x-should-retry", "false"),
            Refusal::Address | Refusal::Domain => Self::forbidden(text),
        }
    }
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::UnknownKey => Self::unauthorized("Invalid API key"),
            IdentityError::UnknownUser => Self::not_found("User not found"),
            IdentityError::UnknownPlan(plan) => Self::bad_request(format!("Plan {plan} not found")),
            IdentityError::UsernameTaken => Self::bad_request("Username already taken"),
            IdentityError::EmailTaken => Self::bad_request("User with this email already exists"),
            IdentityError::InactiveUser => Self::forbidden("User account is inactive"),
            IdentityError::KeyNameTaken => {
                Self::bad_request("Key name already exists for this user. Please choose a different name.")
            }
            IdentityError::GrantTooLarge(most) => Self::bad_request(format!("Initial credits must be at most {most}")),
            IdentityError::TooManyRegistrations { retry_after } => {
                Self::too_many_requests("Too many registrations from this address", Some(retry_after))
            }
            IdentityError::CapBelowUse => Self::bad_request("Max requests must not be below the requests that the key has made"),
            IdentityError::NoBudget => Self::bad_request("The key has no budget: give budget_usd"),
            IdentityError::RotateInactive => Self::bad_request("API key is inactive: set is_active before it is rotated"),
            IdentityError::RotateExpired => Self::bad_request("API key has expired: set expiration_days before it is rotated"),
            IdentityError::BeyondScopes => {
                Self::forbidden("Insufficient permissions to rotate a key that may do more than the one that asks")
            }
            IdentityError::TooManyKeys(most) => {
                Self::bad_request(format!("At most {most} keys are rotated at once: name an environment_tag"))
            }
            IdentityError::RequestCap => Refusal::RequestCap.into(),
            IdentityError::AboveGrant { key, ceiling } => Self::bad_request(above(key, &ceiling)),
            IdentityError::Ledger(error) => of_ledger(error),
            // The Privy user was made and deleted again elsewhere, while this was looking.
            error @ (IdentityError::Overloaded | IdentityError::Unavailable | IdentityError::PrivyUserTaken) => {
                Self::unavailable(RETRY_SOON).with_cause(&error)
            }
            error @ IdentityError::Defect(_) => Self::internal(&error),
        }
    }
}

fn above(key: KeyId, most: &RateLimits) -> String {
    format!(
        "Limits can be lowered, not raised: key {key} may have at most {}/{}/{} requests and {}/{}/{} tokens per minute/hour/day",
        most.requests_per_minute,
        most.requests_per_hour,
        most.requests_per_day,
        most.tokens_per_minute,
        most.tokens_per_hour,
        most.tokens_per_day
    )
}

/// The failures of a credit or of reading a balance; what a hold is refused for is the completion's to tell.
pub(in crate::http) fn of_ledger(error: LedgerError) -> ApiError {
    match error {
        LedgerError::Conflict(_) => ApiError::conflict("This operation was made before with another content"),
        LedgerError::Overloaded | LedgerError::Unavailable => ApiError::unavailable(RETRY_SOON).with_cause(&error),
        LedgerError::Insufficient { .. } | LedgerError::OverBudget { .. } | LedgerError::Unknown(_) => ApiError::internal(&error),
    }
}
