//! The client address' limit at every door, and what every answer says of limits (`contract.md` B.7): with a key, the
//! tightest window of all that bind its calls, else the address'. Under `/v1` also OpenAI's headers.

use super::cors;
use super::error::{ApiError, Envelope};
use super::principal::ClientAddress;
use crate::startup::Services;
use actix_web::HttpMessage;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use futures_util::FutureExt;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tollgate_actors::identity::Caller;
use tollgate_actors::limiter::{AddressLeft, Left, Standing};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const TIER: HeaderName = HeaderName::from_static("x-ratelimit-tier");

const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// What a door without a key shows as its tier.
const ANONYMOUS: HeaderValue = HeaderValue::from_static("anonymous");

/// Counts a request of its address, and says what is left. A preflight is not counted: the request that it asks for is.
///
/// # Errors
/// 429 when the address has sent too many.
pub fn admit(services: &Services, request: &ServiceRequest) -> Result<Option<Left>, (Left, ApiError)> {
    let (limiter, address) = (&services.actors.limiter, ClientAddress::of(request.request()).0);
    if cors::is_preflight(request) {
        return Ok(limiter.left_to_address(address));
    }
    match limiter.admit_address(address) {
        Some(AddressLeft { left, is_admitted: false }) => Err((left, too_many(services, left))),
        admitted => Ok(admitted.map(|address| address.left)),
    }
}

fn too_many(services: &Services, left: Left) -> ApiError {
    let wait_s = seconds_until(services, left.reset_s);
    ApiError::too_many_requests("Rate limit exceeded: Too many requests from this address", Some(Duration::from_secs(wait_s)))
}

/// Puts the headers on an answer.
pub async fn mark<B>(services: &Services, response: &mut ServiceResponse<B>, address: Option<Left>) {
    let caller = response.request().extensions().get::<Arc<Caller>>().cloned();
    let Some(caller) = caller else {
        if let Some(address) = address {
            show(response.headers_mut(), &address, ANONYMOUS);
        }
        return;
    };
    let counting = services.actors.limiter.standing(&caller);
    // actix drops an answer that is not ready in the poll in which it finds a chunk broken: such an answer says what is known.
    // Mutant: with `counting.await` in both cases a connection whose key is new ends without an answer.
    let standing = if closes(response.headers()) { counting.now_or_never().flatten() } else { counting.await };
    let Some(standing) = standing else { return };
    let is_openai = Envelope::of(response.request().path()) == Envelope::OpenAi;
    let headers = response.headers_mut();
    show(headers, &standing.requests, tier(&caller.plan.name));
    if is_openai {
        show_openai(services, headers, &standing);
    }
}

/// The connection ends with this answer.
pub fn closes(headers: &HeaderMap) -> bool {
    headers.get(CONNECTION).is_some_and(|value| value == "close")
}

fn show(headers: &mut HeaderMap, left: &Left, tier: HeaderValue) {
    headers.insert(LIMIT, number(left.limit));
    headers.insert(REMAINING, number(left.remaining));
    headers.insert(RESET, number(left.reset_s));
    headers.insert(TIER, tier);
}

fn show_openai(services: &Services, headers: &mut HeaderMap, standing: &Standing) {
    for ([limit, remaining, reset], left) in [(REQUESTS, standing.requests), (TOKENS, standing.tokens)] {
        headers.insert(limit, number(left.limit));
        headers.insert(remaining, number(left.remaining));
        headers.insert(reset, duration(seconds_until(services, left.reset_s)));
    }
}

fn seconds_until(services: &Services, reset_s: i64) -> u64 {
    u64::try_from(reset_s.saturating_sub(services.clock.now().timestamp())).unwrap_or(0).max(1)
}

/// With one allocation instead of the three of `HeaderValue::from`: nine of these go out with each answer.
fn number(number: i64) -> HeaderValue {
    HeaderValue::from_str(itoa::Buffer::new().format(number)).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

/// As OpenAI writes durations: `42s`, `6m0s`, `1h0m3s`.
fn duration(seconds: u64) -> HeaderValue {
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let mut text = String::with_capacity(12);
    // Writing to a String does not fail.
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if seconds >= 60 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{}s", seconds % 60);
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("1s"))
}

/// A plan's name in small letters; those that everyone is on cost nothing.
fn tier(plan: &str) -> HeaderValue {
    HeaderValue::from_static(match plan {
        "Free" => "free",
        "Dev" => "dev",
        "Team" => "team",
        "Customize" => "customize",
        other => return HeaderValue::try_from(other.to_ascii_lowercase()).unwrap_or(ANONYMOUS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_openai_does() {
        for (seconds, text) in [(1, "1s"), (59, "59s"), (60, "1m0s"), (360, "6m0s"), (3_603, "1h0m3s"), (86_400, "24h0m0s")] {
            assert_eq!(duration(seconds), text);
        }
    }
}
