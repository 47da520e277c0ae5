//! What an answer's head must be, before its body is believed.

use super::transport::AnswerBody;
use super::upstream_body::{Deadlines, UpstreamBody};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::Response;
use hyper::body::Body;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use std::error::Error;
use std::time::Duration;
use tollgate_actors::ports::{Clock, GatewayError, UpstreamAnswer};

/// A plain answer is held in memory: above it there is a mistake or an attack.
pub(super) const PLAIN_BYTES_MAX: u64 = 32 << 20;
/// Of a refusal's body, enough for its message.
pub(super) const REFUSAL_BYTES_MAX: u64 = 64 << 10;
/// How long a refusal's body is waited for: its status says most.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(5);
/// Nobody asks for more in earnest.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3_600);

pub(super) const JSON: &str = "application/json";
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// Turns a head into an answer or the error that it is. For a stream, JSON is let through: the caller makes a stream of it.
pub(super) async fn accept(
    response: Response<AnswerBody>,
    streamed: bool,
    deadlines: Deadlines,
    clock: &dyn Clock,
) -> Result<UpstreamAnswer, GatewayError> {
    let response = accept_status(response, deadlines, clock).await?;
    let content_type = media_type(response.headers());
    let is_due = match content_type.as_str() {
        EVENT_STREAM => streamed,
        JSON => true,
        other => other.starts_with("application/") && other.ends_with("+json"),
    };
    // Mutant: without this check `a_page_of_html_is_no_answer` is red.
    if !is_due {
        return Err(GatewayError::Malformed(format!("the content type {content_type:?} where JSON or events are due")));
    }
    refuse_encoding(response.headers())?;
    let bytes_max = if content_type == EVENT_STREAM { u64::MAX } else { PLAIN_BYTES_MAX };
    if response.body().size_hint().exact().is_some_and(|length| length > bytes_max) {
        return Err(GatewayError::TooLarge);
    }
    Ok(UpstreamAnswer { content_type, body: UpstreamBody::new(response.into_body(), deadlines, bytes_max).into_stream() })
}

/// Lets 2xx through.
pub(super) async fn accept_status<B>(
    response: Response<B>,
    deadlines: Deadlines,
    clock: &dyn Clock,
) -> Result<Response<B>, GatewayError>
where
    B: Body<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if !status.is_client_error() && !status.is_server_error() {
        return Err(GatewayError::Malformed(format!("the status {} where an answer is due", status.as_u16())));
    }
    let retry_after = retry_after(response.headers(), clock.now());
    let body =
        UpstreamBody::new(response.into_body(), deadlines.within(REFUSAL_PATIENCE), REFUSAL_BYTES_MAX).collect_what_comes().await;
    Err(GatewayError::Status { status: status.as_u16(), body: Bytes::from(body), retry_after })
}

/// An answer that is packed although nobody asked for it can't be read.
pub(super) fn refuse_encoding(headers: &HeaderMap) -> Result<(), GatewayError> {
    match text(headers, &CONTENT_ENCODING) {
        None | Some("" | "identity") => Ok(()),
        Some(_) => Err(GatewayError::Malformed("a content encoding that was not asked for".to_owned())),
    }
}

/// The media type, lower case, without parameters; empty when there is none.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = text(headers, &CONTENT_TYPE).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// `Retry-After` as seconds or as an HTTP date; a date that is past is "now".
pub(super) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (DateTime::parse_from_rfc2822(value).ok()?.to_utc() - now).to_std().unwrap_or(Duration::ZERO),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
