//! Those who send nonsense, drip, or come in too great numbers (P4, P5, P6): nobody else notices, and nothing is charged.

mod flood;
mod framing;
mod json;
mod lawful;
mod overload;
mod slow;
mod unread;
mod wire;

use crate::support::{TestApp, TestUser};
use serde_json::{Value, json};

const PATH: &str = "/v1/chat/completions";

/// A completion's body that is right, and cheap.
fn question() -> Value {
    json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4})
}

/// Nothing was charged, nothing is held, and no provider has heard of it.
async fn assert_costs_nothing(app: &TestApp, user: &TestUser) {
    let balance = app.get_as(&user.key, "/user/balance").await.json();
    assert_eq!((&balance["credits"], &balance["held"]), (&json!(10.0), &json!(0.0)), "{balance}");
    assert_eq!(app.database.number("SELECT count(*) FROM holds").await, 0);
    let stats = app.sim.stats();
    assert_eq!(stats.started + stats.rejected, 0, "{stats:?}");
}

/// It serves as it did before: the doors of the house, and a paid call.
async fn assert_well(app: &TestApp, user: &TestUser) {
    assert_eq!(app.get("/ready").await.status, 200);
    let reply = app.post_as(&user.key, PATH, question()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}
