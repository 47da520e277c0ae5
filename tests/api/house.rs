//! The pages for those who run the server.

use crate::support;
use serde_json::json;

#[actix_web::test]
async fn health_tells_all_its_readers_what_they_want() {
    let app = support::app().await;
    let reply = app.get("/health").await;
    assert_eq!(reply.status, 200);
    let body = reply.json();
    assert_eq!((&body["status"], &body["app"], &body["database"]), (&json!("healthy"), &json!("tollgate"), &json!("connected")));
    assert_eq!(
        (&body["gatewayz"], &body["openrouter"], &body["user_count"]),
        (&json!("connected"), &json!("connected"), &json!(0))
    );
    assert!(chrono::DateTime::parse_from_rfc3339(body["timestamp"].as_str().unwrap()).is_ok());
}

#[actix_web::test]
async fn a_ready_server_says_so() {
    let app = support::app().await;
    let ready = support::eventually("ready", async || Some(app.get("/ready").await).filter(|reply| reply.status == 200)).await;
    assert_eq!(ready.json(), json!({"status": "ready"}));
}

#[actix_web::test]
async fn a_server_without_its_database_is_unhealthy_and_not_ready() {
    let app = support::app().await;
    app.database.refuse_connections().await;
    let body = support::eventually("unhealthy", async || {
        Some(app.get("/health").await.json()).filter(|body| body["status"] == "unhealthy")
    })
    .await;
    assert_eq!(body["database"], "disconnected");
    assert!(body["error"].is_string() && body.get("user_count").is_none() && body.get("timestamp").is_none());
    let reply = app.get("/ready").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert_eq!(reply.json()["request_id"], reply.header("x-request-id"), "a 5xx shows by which id the log can be found");
}

#[actix_web::test]
async fn the_root_tells_what_there_is() {
    let app = support::app().await;
    let body = app.get("/").await.json();
    assert_eq!((&body["name"], &body["status"]), (&json!("Tollgate"), &json!("active")));
    assert_eq!(body["documentation"]["openapi_spec"], "/openapi.json");
    let public = body["endpoints"]["public"].as_array().unwrap();
    assert!(public.iter().any(|line| line.as_str().unwrap().starts_with("GET /health")), "{public:?}");
}

#[actix_web::test]
async fn metrics_count_the_requests() {
    let app = support::app().await;
    app.get("/").await;
    app.get("/nowhere").await;
    let reply = app.get("/metrics").await;
    assert!(reply.header("content-type").starts_with("text/plain"));
    for line in [
        "tollgate_http_requests_total{status=\"2xx\"} ",
        "tollgate_http_requests_total{status=\"4xx\"} 1",
        "tollgate_http_head_seconds_bucket",
    ] {
        assert!(reply.text().contains(line), "{line} is missing in {}", reply.text());
    }
}

#[actix_web::test]
async fn metrics_are_for_administrators_unless_they_are_made_public() {
    let app = support::app_with(&[("METRICS", "")]).await;
    let user = app.register_user().await;
    let without = app.get("/metrics").await;
    assert_eq!((without.status, without.json()), (401, json!({"detail": "Not authenticated"})));
    let refused = app.get_as(&user.key, "/metrics").await;
    assert_eq!((refused.status, refused.json()), (403, json!({"detail": "Administrator privileges required"})));
    assert!(app.get_as(support::ADMIN_KEY, "/metrics").await.text().contains("tollgate_http_requests_total"));
    app.database.refuse_connections().await;
    assert_eq!(app.get_as(support::ADMIN_KEY, "/metrics").await.status, 200, "also while the database is away");
}

#[actix_web::test]
async fn several_servers_live_in_one_process() {
    let (one, two) = (support::app().await, support::app().await);
    assert_eq!((one.get("/metrics").await.status, two.get("/metrics").await.status), (200, 200));
    one.stop().await;
    assert_eq!(two.get("/health").await.status, 200);
}

#[actix_web::test]
async fn the_documentation_asks_nothing_of_the_internet() {
    let app = support::app().await;
    let redirect = app.get("/docs").await;
    assert_eq!((redirect.status, redirect.header("location")), (308, "/docs/"));
    for file in ["/docs/", "/docs/swagger-initializer.js", "/docs/index.css"] {
        let reply = app.get(file).await;
        assert_eq!(reply.status, 200, "{file}");
        let text = String::from_utf8_lossy(&reply.body).replace("http://www.w3.org", "");
        assert!(!text.contains("http://") && !text.contains("https://"), "{file} names an address");
        assert!(reply.header("content-security-policy").contains("default-src 'self'"));
    }
    assert_eq!(app.get("/docs/../Cargo.toml").await.status, 404);
    assert_eq!(app.get("/docs/nothing.js").await.status, 404);
}
