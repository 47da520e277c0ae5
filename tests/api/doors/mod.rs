//! Every door, held against one table (`table.rs`): who gets in (promise A5), and what it refuses, with which code and in which
//! envelope (seed 004). A route without a row turns the walk red.

mod access;
mod refusals;
mod table;

use crate::support::{Reply, TestApp, TestUser};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use table::{Door, How, Needs};

/// A user for one door, with what its path and query name.
struct Visitor {
    user: TestUser,
    key_id: i64,
    session_id: i64,
    generation: String,
}

async fn visitor(app: &TestApp, door: &Door) -> Visitor {
    let user = app.register_user().await;
    let key_id = if door.path.contains("{key_id}") { spare_key(app, &user, json!({})).await.1 } else { 0 };
    let generation = if door.query.contains("{generation}") { call(app, &user.key).await } else { String::new() };
    let session_id = if door.path.contains("{session_id}") { session(app, &user).await } else { 0 };
    Visitor { user, key_id, session_id, generation }
}

/// A chat session with a message; its id.
async fn session(app: &TestApp, user: &TestUser) -> i64 {
    let made = app.post_as(&user.key, "/v1/chat/sessions", json!({"title": "Canary Session"})).await;
    assert_eq!(made.status, 200, "{made:?}");
    let id = made.json()["data"]["id"].as_i64().unwrap();
    let message = json!({"role": "user", "content": "Canary Message"});
    assert_eq!(app.post_as(&user.key, &format!("/v1/chat/sessions/{id}/messages"), message).await.status, 200);
    id
}

/// A further key with these fields, and its id.
async fn spare_key(app: &TestApp, user: &TestUser, fields: Value) -> (String, i64) {
    let mut body = json!({"key_name": format!("spare {}", uuid::Uuid::now_v7())});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let made = app.post_as(&user.key, "/user/api-keys", body).await;
    assert_eq!(made.status, 200, "{made:?}");
    let made = made.json();
    (made["api_key"].as_str().unwrap().to_owned(), made["id"].as_i64().unwrap())
}

/// Makes a call; returns its generation.
async fn call(app: &TestApp, key: &str) -> String {
    let reply = app.post_as(key, "/v1/chat/completions", table::chat()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.header("x-generation-id").to_owned()
}

/// The door's request as it is accepted, about the visitor's things; whose key it carries, the test says.
fn request(app: &TestApp, door: &Door, about: &Visitor) -> RequestBuilder {
    build(app, door, door.path, door.query, door.body.as_ref(), about)
}

fn build(
    app: &TestApp,
    door: &Door,
    path: &str,
    query: &str,
    body: Option<&Value>,
    Visitor { user, key_id, session_id, generation }: &Visitor,
) -> RequestBuilder {
    let separator = if query.is_empty() { "" } else { "?" };
    let url = format!("{path}{separator}{query}").replace("{key_id}", &key_id.to_string());
    let url = url.replace("{session_id}", &session_id.to_string()).replace("{generation}", generation);
    assert!(!url.contains('{'), "{url}: a placeholder that nobody fills");
    let request = app.request(Method::from_bytes(door.method.as_bytes()).unwrap(), &url);
    match body {
        Some(body) => {
            let text = body.to_string().replace("\"{user_id}\"", &user.id.to_string()).replace("{username}", &user.username);
            request.header("content-type", "application/json").body(text)
        }
        None => request,
    }
}

/// The key with which the door lets the visitor in.
fn let_in(door: &Door, request: RequestBuilder, visitor: &Visitor) -> RequestBuilder {
    match door.needs {
        Needs::Nobody => request,
        Needs::Key(..) => request.bearer_auth(&visitor.user.key),
        Needs::Admin => request.bearer_auth(crate::support::ADMIN_KEY),
    }
}

/// Holds a refusal against its status and the envelope of the door's path (decision 16); returns its text.
fn text_of(door: &Door, reply: &Reply, status: u16) -> String {
    let name = format!("{} {}: {reply:?}", door.method, door.path);
    assert_eq!(reply.status, status, "{name}");
    let body = reply.json();
    let text = if door.path.starts_with("/v1/") {
        let error = &body["error"];
        assert!(error["type"].is_string() && error["code"].is_string() && error.get("param").is_some(), "{name}");
        assert_eq!(error["message"], body["detail"], "{name}");
        &body["detail"]
    } else if door.path.starts_with("/api/") {
        assert!(body["error"].as_str().is_some_and(|code| code == code.to_ascii_uppercase()), "{name}");
        &body["message"]
    } else {
        &body["detail"]
    };
    // A wrong shape has a list of fields where the envelope has room for one.
    assert!(text.is_string() || (status == 422 && text.is_array()), "{name}");
    if status >= 500 {
        assert_eq!(body["request_id"], reply.header("x-request-id"), "{name}");
    }
    if status == 503 {
        assert_ne!(reply.header("retry-after"), "", "{name}");
    }
    text.as_str().map_or_else(|| text.to_string(), str::to_owned)
}
