//! How the errors of the parts behind the doors look at the doors.

use super::ApiError;
use actix_web::http::StatusCode;
use std::time::Duration;
use tollgate_actors::runtime::AskError;
use tollgate_actors::sessions::SessionsError;
use tollgate_store::StoreError;

/// What a client is told to wait when a part is overloaded or away. Short: most overloads are gone in less.
const RETRY_SOON: Duration = Duration::from_secs(1);

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(RETRY_SOON).with_cause(&error),
            // The account was deleted while it was asked for something.
            StoreError::Constraint { ref constraint } if constraint.ends_with("_user_id_fkey") => {
                Self::unauthorized("Invalid API key").with_cause(&error)
            }
            // Those who expect a constraint to refuse look for it themselves.
            StoreError::Constraint { .. } | StoreError::Query(_) => Self::internal(&error),
        }
    }
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded | AskError::Closed => Self::unavailable(RETRY_SOON).with_cause(&error),
            AskError::Timeout => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                "timeout",
                "The request took too long; it may have been carried out all the same",
            )
            .with_cause(&error),
        }
    }
}

impl From<SessionsError> for ApiError {
    fn from(error: SessionsError) -> Self {
        match error {
            SessionsError::Busy => {
                Self::too_many_requests("Too many calls wait for this chat session; wait for their answers", Some(RETRY_SOON))
                    .with_code("session_busy")
            }
            SessionsError::Overloaded => Self::unavailable(RETRY_SOON).with_cause(&error),
            SessionsError::Store(error) => error.into(),
        }
    }
}

impl ApiError {
    /// Errors that actix makes by itself: its text is not ours to show.
    pub(in crate::http) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_REQUEST => Self::bad_request("Bad request"),
            StatusCode::NOT_FOUND => Self::not_found("Not Found"),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(status, "method_not_allowed", "Method Not Allowed"),
            StatusCode::REQUEST_TIMEOUT => Self::new(status, "request_timeout", "The request did not arrive in time"),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(status, "payload_too_large", "The request body is too large"),
            StatusCode::SERVICE_UNAVAILABLE => Self::unavailable(RETRY_SOON),
            status if status.is_server_error() => Self::new(status, "internal_error", "Internal server error"),
            status => Self::new(status, "bad_request", status.canonical_reason().unwrap_or("Bad request")),
        }
    }
}
