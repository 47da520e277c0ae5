//! Balances and prices in whole nano-dollars.

use super::{TestApp, TestUser};
use serde_json::Value;

/// Dollars as JSON shows them.
pub fn nanos(usd: f64) -> i64 {
    #[expect(clippy::as_conversions, reason = "an amount of test money")]
    let nanos = (usd * 1e9).round() as i64;
    nanos
}

/// The user's settled credits.
pub async fn credits(app: &TestApp, user: &TestUser) -> i64 {
    credits_if_up(app, user).await.expect("a balance")
}

/// [`credits`], or `None` while the server can't say.
pub async fn credits_if_up(app: &TestApp, user: &TestUser) -> Option<i64> {
    let reply = app.get_as(&user.key, "/user/balance").await;
    (reply.status == 200).then(|| nanos(reply.json()["credits"].as_f64().expect("a number")))
}

/// What a call costs by the catalogue's own prices.
pub async fn price_nanos(app: &TestApp, model: &str, prompt_tokens: i64, completion_tokens: i64) -> i64 {
    let entry = app.get(&format!("/v1/models/{model}")).await.json();
    let price = |line: &str| price_of(&entry["charged_pricing"][line]);
    nanos(price("prompt") * float(prompt_tokens) + price("completion") * float(completion_tokens))
}

fn price_of(line: &Value) -> f64 {
    line.as_str().expect("a price as text").parse().expect("a decimal")
}

fn float(count: i64) -> f64 {
    f64::from(i32::try_from(count).expect("a test's count"))
}
