//! `x-request-id`: one on every answer.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ids of clients are replaced by ours: they end up in logs.
const CLIENT_ID_BYTES_MAX: usize = 128;

/// The request's id: the client's own, if it is a sane one, else ours.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) const fn header(&self) -> &HeaderValue {
        &self.0
    }

    fn of_client(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(X_REQUEST_ID)?;
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
        let is_sane = (1..=CLIENT_ID_BYTES_MAX).contains(&value.len()) && value.as_bytes().iter().all(sane);
        is_sane.then(|| Self(value.clone()))
    }
}

impl FromRequest for RequestId {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.extensions().get::<Self>().cloned();
        ready(Ok(id.unwrap_or_else(|| Self(HeaderValue::from_static("unknown")))))
    }
}

/// Makes the ids of one HTTP worker: a random number that no other worker has, and a count.
pub(super) struct RequestIds {
    worker: u64,
    count: Cell<u64>,
}

impl RequestIds {
    /// `worker` is random.
    pub(super) const fn new(worker: u64) -> Self {
        Self { worker, count: Cell::new(0) }
    }

    pub(super) fn of(&self, headers: &HeaderMap) -> RequestId {
        RequestId::of_client(headers).unwrap_or_else(|| self.next())
    }

    fn next(&self) -> RequestId {
        let count = self.count.get();
        self.count.set(count.wrapping_add(1));
        let text = format!("req-{:016x}{count:08x}", self.worker);
        RequestId(HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("req-0")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &RequestIds, sent: &'static [u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(sent).unwrap());
        ids.of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_sane_id_of_the_client_is_kept_and_another_is_replaced() {
        let ids = RequestIds::new(7);
        assert_eq!(of(&ids, b"trace-1.a:b/c+d=@_"), "trace-1.a:b/c+d=@_");
        for bad in [&b""[..], b"with space", b"a\tb", b"caf\xc3\xa9", b"<script>", &[b'a'; 129]] {
            assert!(of(&ids, bad).starts_with("req-0000000000000007"), "{bad:?}");
        }
    }

    #[test]
    fn our_own_ids_differ() {
        let ids = RequestIds::new(7);
        let first = ids.of(&HeaderMap::new());
        assert_ne!(first.as_str(), ids.of(&HeaderMap::new()).as_str());
    }
}
