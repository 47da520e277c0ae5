//! The `Host` that a request names. We serve one site, whatever it is called; but a name that is none is read by every proxy
//! in a way of its own, so it is refused (RFC 9112, 3.2). actix refuses a missing and a second one.

use super::error::ApiError;
use actix_web::http::header::{HOST, HeaderMap};

/// Made of what a host and its port are made of (RFC 3986, 3.2.2).
pub(super) fn is_sound(headers: &HeaderMap) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(byte);
    headers.get(HOST).is_none_or(|host| {
        let host = host.as_bytes();
        host.iter().all(is_allowed) && host.contains(&b'[') == host.contains(&b']')
    })
}

pub(super) fn refused() -> ApiError {
    ApiError::bad_request("The Host header names no host")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn hosts_are_told_from_other_texts() {
        let is_sound =
            |host: &'static str| super::is_sound(TestRequest::default().insert_header((HOST, host)).to_http_request().headers());
        for good in ["example.com", "example.com:8000", "127.0.0.1:1", "[::1]:8000", "a_b.example", ""] {
            assert!(is_sound(good), "{good}");
        }
        for bad in ["a b", "a/b", "user@host", "[::1", "::1]", "a\tb", "a?b", "a#b", "<a>", "a\\b", "\"a\""] {
            assert!(!is_sound(bad), "{bad}");
        }
    }
}
