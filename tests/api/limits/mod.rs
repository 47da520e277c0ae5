//! The limits of keys, users, plans, trials and addresses.

mod doors;
mod exact;
mod headers;
mod plans;
mod restarts;
mod shared;

use crate::support::{self, ADMIN_KEY, Reply, TestApp, TestUser, eventually};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_actors::ports::Clock;

const CHAT: &str = "/v1/chat/completions";

/// 16 bytes of content: the provider counts 4 prompt tokens, and these completion tokens.
fn question(max_tokens: i64) -> Value {
    json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "0123456789abcdef"}], "max_tokens": max_tokens})
}

async fn ask(app: &TestApp, user: &TestUser) -> Reply {
    app.post_as(&user.key, CHAT, question(8)).await
}

/// Wide limits with some changed.
fn limits(changed: Value) -> Value {
    let mut limits = json!({
        "requests_per_minute": 1_000_000, "requests_per_hour": 1_000_000, "requests_per_day": 1_000_000,
        "tokens_per_minute": 1_000_000_000, "tokens_per_hour": 1_000_000_000, "tokens_per_day": 1_000_000_000,
        "burst_limit": 1_000_000, "concurrency_limit": 1_000_000,
    });
    for (name, value) in changed.as_object().expect("fields") {
        limits[name] = value.clone();
    }
    limits
}

/// The operator's word on a user's keys.
async fn grant(app: &TestApp, user: &TestUser, changed: Value) {
    let body = json!({"user_id": user.id, "rate_limits": limits(changed)});
    let reply = app.post_as(ADMIN_KEY, "/admin/limit", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// Turns the clock to ten minutes and five seconds past an hour, so that no window ends in the middle of a test.
fn away_from_borders(app: &TestApp) {
    let past_hour = app.clock.now().timestamp().rem_euclid(3_600);
    app.clock.advance(Duration::from_secs(u64::try_from(3_600 - past_hour + 605).unwrap()));
}

/// What the user's first key has used of a window.
async fn used(app: &TestApp, user: &TestUser, window: &str) -> (i64, i64) {
    let configs = app.get_as(&user.key, "/user/rate-limits").await.json();
    let of_window = &configs["rate_limit_configs"][0]["usage_stats"][window];
    (of_window["requests"].as_i64().unwrap(), of_window["tokens"].as_i64().unwrap())
}
