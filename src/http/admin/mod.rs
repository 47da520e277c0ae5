//! The operator's doors.

mod balance;
mod catalogue;
mod credits;
mod limit;
mod monitor;
mod plan;
mod rate_limits;
mod trial;

pub use balance::{__path_admin_balance, admin_balance};
pub use catalogue::{__path_cache_status, __path_refresh_models, cache_status, refresh_models};
pub use credits::{__path_add_credits, add_credits};
pub use limit::{__path_set_limit, set_limit};
pub use monitor::{__path_admin_monitor, admin_monitor};
pub use plan::{__path_assign_plan, assign_plan};
pub use rate_limits::{__path_list_rate_limit_alerts, __path_system_rate_limits, list_rate_limit_alerts, system_rate_limits};
pub use trial::{__path_trial_analytics, trial_analytics};

use super::error::{ApiError, FieldError};
use crate::startup::Services;
use serde_json::Value;
use tollgate_actors::identity::IdentityError;
use tollgate_domain::{KeyId, UserId};

/// Whom an admin door is about: one of the two must be given, and both must mean the same user.
struct Target {
    user: UserId,
    /// With `api_key` only: the key, and how it is shown.
    key: Option<(KeyId, String)>,
}

impl Target {
    /// # Errors
    /// 422 for neither, 404 `User not found`, 400 when they contradict each other.
    async fn find(services: &Services, api_key: Option<&str>, user_id: Option<i64>) -> Result<Self, ApiError> {
        let Some(api_key) = api_key else {
            let user_id = user_id.ok_or_else(|| missing("api_key"))?;
            return Ok(Self { user: UserId(user_id), key: None });
        };
        let caller = services.actors.identity.find_key(api_key).await.map_err(not_found)?;
        if user_id.is_some_and(|user_id| user_id != caller.user.0) {
            return Err(ApiError::bad_request("api_key is not a key of user_id"));
        }
        Ok(Self { user: caller.user, key: Some((caller.key, caller.masked_key.clone())) })
    }
}

fn missing(field: &str) -> ApiError {
    let loc = vec!["body".into(), field.into()];
    ApiError::unprocessable(vec![FieldError { kind: "missing".into(), loc, msg: "Field required".into(), input: Value::Null }])
}

/// Here it is not the caller's key that is unknown.
fn not_found(error: IdentityError) -> ApiError {
    match error {
        IdentityError::UnknownKey | IdentityError::UnknownUser => ApiError::not_found("User not found"),
        error => error.into(),
    }
}
