//! Promise P5 for headers that every door, or a paid one, reads.

use super::chat_completions::idempotency_key;
use super::host;
use actix_web::http::header::{HOST, HeaderValue};
use actix_web::test::TestRequest;
use tollgate_fuzz::Fuzz;

#[test]
fn fuzz_an_idempotency_key_is_the_header_as_it_stands_or_refused() {
    let corpus =
        ["8e03978e-40d5-43e8-bc93-6894a57f9324", "a", "", " padded ", &"k".repeat(255), &"k".repeat(256)].map(str::to_owned);
    Fuzz::new("Idempotency-Key").corpus(corpus).words(["\u{e9}", ",", "\t", "\"", "\u{a0}"]).run(|text, _| {
        let Ok(header) = HeaderValue::from_bytes(text) else { return };
        let request = TestRequest::default().insert_header(("idempotency-key", header)).to_http_request();
        let is_right = (1..=255).contains(&text.len()) && text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
        match idempotency_key(&request) {
            Ok(key) => assert!(is_right && key.as_deref().map(str::as_bytes) == Some(text)),
            Err(error) => assert!(!is_right && error.status().as_u16() == 400),
        }
    });
}

#[test]
fn fuzz_a_host_that_is_let_through_is_one_that_the_standard_knows() {
    let words = [".", ":", "[", "]", "::", ":80", "@", "/", "\\", "%41", "?", "#", "_", "localhost"];
    Fuzz::new("Host").corpus(["example.com", "127.0.0.1:8000", "[::1]:80", "a_b"]).words(words).run(|text, _| {
        let Ok(header) = HeaderValue::from_bytes(text) else { return };
        let request = TestRequest::default().insert_header((HOST, header)).to_http_request();
        let letters = text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(byte));
        let lets_through = host::is_sound(request.headers());
        assert!(!lets_through || letters);
        // What is an authority without a user is let through.
        let is_authority = actix_web::http::uri::Authority::try_from(text).is_ok_and(|_| !text.contains(&b'@'));
        assert!(lets_through || !is_authority, "{}", text.escape_ascii());
    });
}
