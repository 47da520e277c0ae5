//! Chat sessions and their messages: `/v1/chat/sessions`, `/v1/chat/search`, `/v1/chat/stats`, and `session_id` in a completion.

mod completions;
mod create;
mod delete;
mod list;
mod many;
mod messages;
mod one;
mod refusals;
mod search;
mod stats;
mod turns;
mod update;

use crate::support::{Reply, TestApp, TestUser, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const SESSIONS: &str = "/v1/chat/sessions";

async fn put(app: &TestApp, user: &TestUser, path: &str, body: Value) -> Reply {
    Reply::of(app.request(Method::PUT, path).bearer_auth(&user.key).json(&body)).await
}

async fn delete(app: &TestApp, user: &TestUser, path: &str) -> Reply {
    Reply::of(app.request(Method::DELETE, path).bearer_auth(&user.key)).await
}

fn ok(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

async fn get(app: &TestApp, user: &TestUser, path: &str) -> Value {
    ok(&app.get_as(&user.key, path).await)
}

/// A new session's id.
async fn session(app: &TestApp, user: &TestUser, title: &str) -> i64 {
    let made = ok(&app.post_as(&user.key, SESSIONS, json!({"title": title, "model": "openai/gpt-4o-mini"})).await);
    made["data"]["id"].as_i64().expect("an id")
}

fn path_of(session: i64) -> String {
    format!("{SESSIONS}/{session}")
}

async fn say(app: &TestApp, user: &TestUser, session: i64, body: Value) -> Value {
    ok(&app.post_as(&user.key, &format!("{}/messages", path_of(session)), body).await)["data"].clone()
}

/// The session's messages as `role: content`.
async fn said(app: &TestApp, user: &TestUser, session: i64) -> Vec<String> {
    let session = get(app, user, &path_of(session)).await;
    let text = |message: &Value| format!("{}: {}", message["role"].as_str().unwrap(), message["content"].as_str().unwrap());
    session["data"]["messages"].as_array().expect("messages").iter().map(text).collect()
}

/// Takes a time out of the JSON and holds it against the clock, which tests turn only forward.
fn take_time(app: &TestApp, value: &mut Value) -> chrono::DateTime<chrono::Utc> {
    use tollgate_actors::ports::Clock;
    let text = value.take();
    let text = text.as_str().expect("a time");
    assert!(text.ends_with('Z'), "{text}");
    let time: chrono::DateTime<chrono::Utc> = text.parse().expect("a time");
    let age = app.clock.now() - time;
    assert!(age >= chrono::TimeDelta::zero() && age < chrono::TimeDelta::minutes(1), "{text} is {age} ago");
    time
}

/// The details of the user's rows of that action in the table that the seeds name, oldest first, once there are so many.
async fn logged(app: &TestApp, user: &TestUser, action: &str, count: usize) -> Vec<Value> {
    let client = app.database.connect().await;
    let query = "SELECT details::text FROM activity WHERE user_id = $1 AND action = $2 ORDER BY id";
    eventually("the activity rows", async || {
        let rows = client.query(query, &[&user.id, &action]).await.expect("the table");
        (rows.len() >= count).then(|| rows.iter().map(|row| serde_json::from_str(row.get(0)).expect("JSON")).collect())
    })
    .await
}
