//! The one error of all doors, and the three envelopes it is shown in.
//!
//! A handler returns `Result<_, ApiError>`. Which envelope a route speaks depends on its path, which an error does not know;
//! so [`frame`](super::frame) renders it, with the request's id beside.

mod envelope;
mod from;

pub use envelope::Envelope;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What went wrong, as the caller may see it. Small: it travels in a `Result` of every handler.
pub struct ApiError(Box<Inner>);

struct Inner {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    param: Option<String>,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log only.
    cause: Option<String>,
}

/// One wrong field, in FastAPI's form.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// What kind of mistake: `missing`, `int_parsing`, `value_error`, …
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// Where: `["body", "messages", 0, "role"]`.
    #[schema(value_type = Vec<serde_json::Value>)]
    pub loc: Vec<serde_json::Value>,
    /// The text for people.
    pub msg: String,
    /// What was sent there.
    pub input: serde_json::Value,
}

impl FieldError {
    /// A broken rule about a field of the body.
    pub fn of_body(field: &str, msg: impl Into<String>, input: serde_json::Value) -> Self {
        Self { kind: "value_error".into(), loc: vec!["body".into(), field.into()], msg: msg.into(), input }
    }
}

impl ApiError {
    /// An error of that status. `code` in snake case: shown so under `/v1`, in capitals under `/api`.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            status,
            code,
            message: message.into(),
            param: None,
            fields: Vec::new(),
            retry_after: None,
            headers: Vec::new(),
            cause: None,
        }))
    }

    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// Carries `WWW-Authenticate: Bearer`.
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message).with_header("www-authenticate", "Bearer")
    }

    pub fn payment_required(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYMENT_REQUIRED, "insufficient_quota", message)
    }

    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// Fields of a wrong shape: 422 with the list, or under `/v1` 400 with the first of them.
    pub fn unprocessable(fields: Vec<FieldError>) -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_error", "The request has a wrong shape");
        error.0.fields = fields;
        error
    }

    pub fn too_many_requests(message: impl Into<Cow<'static, str>>, retry_after: Option<Duration>) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message);
        error.0.retry_after = retry_after;
        error
    }

    /// Something that is away or overloaded for now. Nothing was spent.
    pub fn unavailable(retry_after: Duration) -> Self {
        let mut error =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", "Service temporarily unavailable, please retry");
        error.0.retry_after = Some(retry_after);
        error
    }

    /// A defect of ours. The cause and its sources are logged, never shown.
    pub fn internal(cause: &dyn Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Internal server error").with_cause(cause)
    }

    /// The model provider gave no usable answer.
    pub fn bad_gateway() -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "upstream_error", "The model provider returned an error")
    }

    /// The model provider gave no answer in time.
    pub fn gateway_timeout() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "The model provider did not answer in time")
    }

    /// Another code than the status's usual one.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.0.code = code;
        self
    }

    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = message.into();
        self
    }

    /// The parameter that is to blame, shown under `/v1`.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// A response header. A value that no header can carry is left out.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        let parsed = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value.as_ref()));
        match parsed {
            (Ok(name), Ok(value)) => self.0.headers.push((name, value)),
            _ => tracing::warn!(header = name, "an error's header was left out: no valid name or value"),
        }
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.0.retry_after = Some(retry_after);
        self
    }

    /// What the log shall say beside the request's id.
    #[must_use]
    pub fn with_cause(mut self, cause: &dyn Error) -> Self {
        self.0.cause = Some(chain(cause));
        self
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub fn code(&self) -> &'static str {
        self.0.code
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub(super) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }
}

/// The error and its sources in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        source = deeper.source();
    }
    text
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status, self.0.message)
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { status, code, message, param, cause, .. } = &*self.0;
        write!(f, "ApiError({status}, {code}, {message:?}, param {param:?}, cause {cause:?})")
    }
}

impl Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    /// Only what no frame re-renders.
    fn error_response(&self) -> HttpResponse {
        self.render(Envelope::Detail, None)
    }
}

#[cfg(test)]
mod tests;
