//! How an error looks on the wire (decision 16).

use super::ApiError;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};
use std::time::Duration;

/// Which of the three envelopes a route speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `/v1`: OpenAI's `error`, and `detail` as a text beside. Bad input is 400.
    OpenAi,
    /// `/api`: `{error: CODE, message}`.
    Api,
    /// All others: FastAPI's `{detail}`, 422 with a list for a wrong shape.
    Detail,
}

impl Envelope {
    /// The envelope of the routes at that path.
    pub fn of(path: &str) -> Self {
        let under = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match path {
            _ if under("/v1") => Self::OpenAi,
            _ if under("/api") => Self::Api,
            _ => Self::Detail,
        }
    }
}

impl ApiError {
    /// The answer in that envelope. 5xx bodies show the request's id, by which the log can be found.
    pub(in crate::http) fn render(&self, envelope: Envelope, request_id: Option<&str>) -> HttpResponse {
        let status = self.status_in(envelope);
        let mut body = self.body(envelope, status);
        if let (true, Some(id), Value::Object(fields)) = (status.is_server_error(), request_id, &mut body) {
            fields.insert("request_id".to_owned(), id.into());
        }
        let mut response = HttpResponse::with_body(status, body.to_string()).map_into_boxed_body();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &self.0.headers {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(wait) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }

    fn status_in(&self, envelope: Envelope) -> StatusCode {
        match self.0.status {
            StatusCode::UNPROCESSABLE_ENTITY if envelope != Envelope::Detail && !self.0.fields.is_empty() => {
                StatusCode::BAD_REQUEST
            }
            status => status,
        }
    }

    fn body(&self, envelope: Envelope, status: StatusCode) -> Value {
        match envelope {
            Envelope::OpenAi => {
                let message = self.text();
                json!({
                    "error": {"message": message, "type": openai_type(status), "param": self.param(), "code": self.0.code},
                    "detail": message,
                })
            }
            Envelope::Api => json!({"error": self.0.code.to_ascii_uppercase(), "message": self.text()}),
            Envelope::Detail if self.0.fields.is_empty() => json!({"detail": self.0.message}),
            Envelope::Detail => json!({"detail": self.0.fields}),
        }
    }

    /// The first wrong field's text where there is no list.
    fn text(&self) -> String {
        match (self.0.fields.first(), self.param()) {
            (Some(field), Some(param)) => format!("{param}: {}", field.msg),
            (Some(field), None) => field.msg.clone(),
            (None, _) => self.0.message.to_string(),
        }
    }

    /// `messages.0.role`: without the leading `body` or `query`.
    fn param(&self) -> Option<String> {
        if self.0.param.is_some() {
            return self.0.param.clone();
        }
        let steps = self.0.fields.first()?.loc.get(1..)?;
        let named = steps.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned));
        let path = named.collect::<Vec<_>>().join(".");
        (!path.is_empty()).then_some(path)
    }
}

/// OpenAI's SDKs choose their exception by status; the type is for those who read bodies.
fn openai_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::PAYMENT_REQUIRED => "insufficient_quota",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    }
}

/// Rounded up: a client that waits as told must not be early. Never 0, which some clients take for "at once".
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}
