//! A server that is killed under load, and what its callers remember.

use super::binary::Served;
use super::{TestDatabase, TestFolder, eventually};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::SocketAddr;
use tollgate_sim::provider::Provider;

/// Starts the server and waits until it takes calls.
pub async fn start(database: &TestDatabase, folder: &TestFolder, sim: &Provider, client: &reqwest::Client) -> Served {
    start_with(database, folder, sim, client, &[]).await
}

/// [`start`] with further settings.
pub async fn start_with(
    database: &TestDatabase,
    folder: &TestFolder,
    sim: &Provider,
    client: &reqwest::Client,
    further: &[(&str, &str)],
) -> Served {
    let settings: Vec<_> = [("SIGNUP_CREDITS_USD", "1000")].iter().chain(further).copied().collect();
    let served = Served::start(database, folder, &sim.base_url(), &settings);
    let url = format!("http://{}/v1/models/openai/gpt-4o-mini", served.address);
    eventually("the server has its models", async || {
        client.get(&url).send().await.ok().filter(|reply| reply.status().as_u16() == 200).map(drop)
    })
    .await;
    served
}

/// Registers a user; returns the key.
pub async fn rich_user(client: &reqwest::Client, address: SocketAddr) -> String {
    let user = json!({"username": "killed", "email": "killed@example.com"});
    let reply = client.post(format!("http://{address}/auth/register")).json(&user).send().await.expect("registration");
    let reply: Value = reply.json().await.expect("JSON");
    reply["api_key"].as_str().expect("a key").to_owned()
}

/// Makes one call, every second one streamed. Returns its generation when it was answered to the last byte.
pub async fn call(client: &reqwest::Client, url: &str, key: &str, n: u32) -> Option<String> {
    let streamed = n % 2 == 1;
    let body = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, "stream": streamed});
    let reply = client.post(url).bearer_auth(key).json(&body).send().await.ok()?;
    let generation = reply.headers().get("x-generation-id")?.to_str().ok()?.to_owned();
    let whole = reply.status().as_u16() == 200;
    let text = reply.text().await.ok()?;
    let ended = if streamed { text.ends_with("data: [DONE]\n\n") } else { text.contains("gateway_usage") };
    (whole && ended).then_some(generation)
}

/// Keeps every account locked until the connection is dropped.
pub async fn stop_commits(database: &TestDatabase) -> tokio_postgres::Client {
    let client = database.connect().await;
    client.batch_execute("BEGIN; SELECT id FROM accounts FOR UPDATE").await.expect("the lock");
    client
}

/// The generations that have a usage record.
pub async fn generations(database: &TestDatabase) -> HashSet<String> {
    let rows = database.connect().await.query("SELECT replace(hold_id::text, '-', '') FROM usage_records", &[]).await;
    rows.expect("usage records").iter().map(|row| format!("gen-{}", row.get::<_, String>(0))).collect()
}
