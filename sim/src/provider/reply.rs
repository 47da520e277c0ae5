//! Heads and error bodies, as bytes.

use serde_json::json;
use std::io::Write;

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENTS: &str = "text/event-stream";
pub(crate) const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");

/// Puts a whole answer.
pub(crate) fn put(out: &mut Vec<u8>, status: u16, content_type: &str, headers: &[(&str, &str)], body: &[u8]) {
    put_head(out, status, content_type, headers, Some(body.len()));
    out.extend_from_slice(body);
}

/// Puts a head. With no length, a header must tell how the body ends.
pub(crate) fn put_head(out: &mut Vec<u8>, status: u16, content_type: &str, headers: &[(&str, &str)], length: Option<usize>) {
    // Writing to a Vec can't fail.
    let _ = write!(out, "HTTP/1.1 {status} {}\r\ncontent-type: {content_type}\r\n", reason(status));
    for (name, value) in headers {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    if let Some(length) = length {
        let _ = write!(out, "content-length: {length}\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// OpenAI's error object.
pub(crate) fn error_body(status: u16, message: &str) -> Vec<u8> {
    let (kind, code) = match status {
        400 | 405 | 413 => ("invalid_request_error", None),
        401 => ("invalid_request_error", Some("invalid_api_key")),
        402 => ("insufficient_quota", Some("insufficient_quota")),
        403 => ("permission_error", None),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        500..=599 => ("server_error", None),
        _ => ("api_error", None),
    };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }).to_string().into_bytes()
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
