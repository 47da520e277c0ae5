//! A new user's first hour: registers, makes a narrow key, uses it up, rotates it, reads the audit log and the activity page.

use crate::support::{self, TestApp, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn question() -> Value {
    json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5})
}

async fn put(app: &TestApp, key: &str, path: &str, body: Value) -> Value {
    let reply = support::Reply::of(app.request(Method::PUT, path).bearer_auth(key).json(&body)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[actix_web::test]
async fn a_key_for_three_requests_is_made_used_up_rotated_and_all_of_it_can_be_read() {
    let app = support::app().await;
    let registration = json!({"username": "ada", "email": "ada@example.com"});
    let registered = app.post("/auth/register", registration).await.json();
    let primary = text(&registered["api_key"]);

    let narrow = json!({"key_name": "three", "ip_allowlist": ["127.0.0.0/8"], "max_requests": 3});
    let made = app.post_as(primary, "/user/api-keys", narrow).await.json();
    let (first, id) = (text(&made["api_key"]), made["id"].as_i64().unwrap());
    for _ in 0..3 {
        assert_eq!(app.post_as(first, CHAT, question()).await.status, 200);
    }
    let refused = app.post_as(first, CHAT, question()).await;
    assert_eq!((refused.status, text(&refused.json()["detail"])), (429, "API key request limit reached"));

    let rotated = put(&app, primary, &format!("/user/api-keys/{id}"), json!({"action": "rotate", "max_requests": 5})).await;
    let second = text(&rotated["updated_key"]["api_key"]);
    assert_ne!(first, second);
    // Both secrets are the one key: two calls are left, whoever makes them.
    for key in [second, first] {
        assert_eq!(app.post_as(key, CHAT, question()).await.status, 200);
    }
    for key in [second, first] {
        assert_eq!(app.post_as(key, CHAT, question()).await.status, 429);
    }

    let audit = app.get_as(primary, &format!("/user/api-keys/audit-logs?key_id={id}")).await.json();
    let actions: Vec<&str> = audit["logs"].as_array().unwrap().iter().map(|row| text(&row["action"])).collect();
    assert_eq!(actions, ["rotate", "update", "create"]);
    let shown = audit.to_string();
    assert!(!shown.contains(first) && !shown.contains(second), "{shown}");

    let page = "/user/activity/log?limit=50";
    let log = async || Some(app.get_as(primary, page).await.json()).filter(|log| log["total"] == 6);
    let log = eventually("five calls and the sign-up are in the log", log).await;
    let calls: Vec<&Value> = log["logs"].as_array().unwrap().iter().filter(|row| row["action"] == "chat_completion").collect();
    assert_eq!(calls.len(), 5, "{log}");
    for call in calls {
        assert_eq!((&call["model"], &call["finish_reason"]), (&json!("openai/gpt-4o-mini"), &json!("stop")), "{call}");
        assert!(call["tokens"].as_i64() > Some(0) && call["cost"].as_f64() > Some(0.0), "{call}");
    }
    let balance = app.get_as(primary, "/user/balance").await.json();
    let spent: f64 = log["logs"].as_array().unwrap().iter().filter_map(|row| row["cost"].as_f64()).sum();
    assert!((10.0 - spent - balance["credits"].as_f64().unwrap()).abs() < 1e-9, "{balance}, {spent} spent");
}
