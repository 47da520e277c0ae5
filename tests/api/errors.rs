//! What every door has in common: envelopes, ids, limits.

use crate::support::{self, Reply};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[actix_web::test]
async fn an_unknown_route_is_404_in_its_paths_envelope() {
    let app = support::app().await;
    let openai = app.get("/v1/nowhere").await;
    assert_eq!(openai.status, 404);
    let error = json!({"message": "Not Found", "type": "invalid_request_error", "param": null, "code": "not_found"});
    assert_eq!(openai.json(), json!({"error": error, "detail": "Not Found"}));
    let api = app.get("/api/nowhere").await;
    assert_eq!((api.status, api.json()), (404, json!({"error": "NOT_FOUND", "message": "Not Found"})));
    let other = app.get("/nowhere").await;
    assert_eq!((other.status, other.json()), (404, json!({"detail": "Not Found"})));
}

#[actix_web::test]
async fn a_known_path_under_another_method_is_405_and_names_those_it_takes() {
    let app = support::app().await;
    let reply = app.post("/health", json!({})).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "GET"));
    assert_eq!(reply.json(), json!({"detail": "Method Not Allowed"}));
}

#[actix_web::test]
async fn every_answer_carries_a_request_id() {
    let app = support::app().await;
    let (one, two) = (app.get("/").await, app.get("/nowhere").await);
    assert!(one.header("x-request-id").starts_with("req-"));
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
    let kept = Reply::of(app.request(Method::GET, "/").header("x-request-id", "trace-7")).await;
    assert_eq!(kept.header("x-request-id"), "trace-7");
    let replaced = Reply::of(app.request(Method::GET, "/").header("x-request-id", "<b>")).await;
    assert!(replaced.header("x-request-id").starts_with("req-"));
    assert_eq!(kept.header("x-content-type-options"), "nosniff");
}

#[actix_web::test]
async fn any_page_may_call_without_credentials_and_read_our_headers() {
    let app = support::app().await;
    let page = |method, path| app.request(method, path).header("origin", "https://app.example");
    let reply = Reply::of(page(Method::GET, "/nowhere")).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (404, "*"));
    assert!(reply.header("access-control-expose-headers").contains("x-generation-id"));
    assert_eq!(reply.header("access-control-allow-credentials"), "");
    let preflight = page(Method::OPTIONS, "/v1/chat/completions")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    let reply = Reply::of(preflight).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, "*"));
    assert!(reply.header("access-control-allow-headers").contains("authorization"));
    assert_ne!(reply.header("x-request-id"), "");
}

#[actix_web::test]
async fn a_list_of_origins_lets_only_those_in() {
    let app = support::app_with(&[("CORS_ORIGINS", "https://app.example")]).await;
    let of = async |origin: &str| {
        Reply::of(app.request(Method::GET, "/").header("origin", origin)).await.header("access-control-allow-origin").to_owned()
    };
    assert_eq!(of("https://app.example").await, "https://app.example");
    // Mutant: granting every origin that is sent turns this red.
    for other in ["https://evil.example", "https://app.example.evil", "http://app.example", "null"] {
        assert_eq!(of(other).await, "", "{other}");
    }
}

/// Sends raw bytes and reads to the end of the connection.
async fn exchange(app: &support::TestApp, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(app.address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let reading = socket.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(5), reading).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[actix_web::test]
async fn a_slow_head_is_cut() {
    let app = support::app_with(&[("HEAD_TIMEOUT", "0.2")]).await;
    let answer = exchange(&app, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[actix_web::test]
async fn a_body_of_the_wrong_shape_is_422_with_the_field_that_is_wrong() {
    let app = support::app().await;
    let reply = app.post("/auth/register", json!({"username": "ada"})).await;
    assert_eq!(reply.status, 422);
    let field = &reply.json()["detail"][0];
    assert_eq!(
        (&field["type"], &field["loc"], &field["msg"]),
        (&json!("missing"), &json!(["body", "email"]), &json!("Field required"))
    );
    let broken = Reply::of(app.request(Method::POST, "/auth/register").body("{\"username\": ")).await;
    assert_eq!((broken.status, &broken.json()["detail"][0]["type"]), (422, &json!("json_invalid")));
    let form = app.request(Method::POST, "/auth/register").header("content-type", "text/plain").body("{}");
    assert_eq!(Reply::of(form).await.status, 415);
}

#[actix_web::test]
async fn a_body_above_the_bound_is_413_announced_or_in_chunks() {
    let app = support::app_with(&[("MAX_BODY_BYTES", "1024")]).await;
    let announced = app.request(Method::POST, "/auth/register").body(vec![b' '; 200_000]);
    let reply = Reply::of(announced).await;
    assert_eq!((reply.status, reply.json()), (413, json!({"detail": "The request body is larger than 1024 bytes"})));
    let pieces = futures_util::stream::iter((0..200).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1_000])));
    let chunked = app.request(Method::POST, "/auth/register").body(reqwest::Body::wrap_stream(pieces));
    assert_eq!(Reply::of(chunked).await.status, 413);
}

#[actix_web::test]
async fn a_body_that_drips_is_cut_by_its_deadline_in_all() {
    let app = support::app_with(&[("BODY_TIMEOUT", "0.5")]).await;
    let mut socket = TcpStream::connect(app.address).await.unwrap();
    socket.write_all(b"POST /auth/register HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    let (mut reader, mut writer) = socket.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answer = [0; 1_024];
    // Mutant: without the deadline in `limits.rs` no answer comes before the last byte.
    let read = tokio::time::timeout(Duration::from_secs(3), reader.read(&mut answer)).await.expect("an answer in time").unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    dripping.abort();
}
