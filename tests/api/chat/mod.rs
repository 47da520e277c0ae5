//! `POST /v1/chat/completions`.

mod bad_input;
mod clients_gone;
pub(crate) mod fault_table;
mod holds;
mod idempotency;
mod plain;
mod records;
mod stream;
mod upstream_faults;

use crate::support::{Reply, TestApp, TestUser, eventually};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tollgate_sim::provider::Behaviour;

const PATH: &str = "/v1/chat/completions";
/// $0.15 and $0.60 for a million tokens: 150 and 600 nano-dollars a token.
const MODEL: &str = "openai/gpt-4o-mini";
/// 11 bytes: three tokens to the provider.
const PROMPT: &str = "hello world";
/// The provider counts 3 prompt tokens and these.
const TOKENS: i64 = 5;
/// 3 × 150 + 5 × 600.
const COST_NANOS: i64 = 3_450;
const SIGN_UP_NANOS: i64 = 10_000_000_000;

/// A small request with further fields.
fn body(fields: Value) -> Value {
    let mut body = json!({"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": TOKENS});
    for (name, value) in fields.as_object().expect("fields") {
        body[name] = value.clone();
    }
    body
}

pub(crate) fn request(app: &TestApp, user: &TestUser, fields: Value) -> RequestBuilder {
    app.request(Method::POST, PATH).bearer_auth(&user.key).json(&body(fields))
}

pub(crate) async fn ask(app: &TestApp, user: &TestUser, fields: Value) -> Reply {
    Reply::of(request(app, user, fields)).await
}

fn behave(app: &TestApp, words: &str) {
    app.sim.set_default(Behaviour::parse(words).expect("a behaviour"));
}

/// The events of a stream.
pub(crate) struct Events {
    /// Each event's `data`.
    pub(crate) data: Vec<String>,
    /// What all of them say; an endless stream has hundreds of thousands, so each is parsed once and not kept.
    pub(crate) content: String,
    /// How many of them are error events.
    pub(crate) errors: usize,
    /// The body ended as HTTP wants it.
    pub(crate) is_whole: bool,
}

impl Events {
    fn parse(text: &str, is_whole: bool) -> Self {
        let text = text.replace("\r\n", "\n");
        let data = |frame: &str| {
            let lines: Vec<&str> = frame.split('\n').filter_map(|line| Some(line.strip_prefix("data:")?.trim_start())).collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        };
        let data: Vec<String> = text.split("\n\n").filter_map(data).collect();
        let (mut content, mut errors) = (String::new(), 0);
        for chunk in chunks(&data) {
            content.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
            errors += usize::from(chunk.get("error").is_some());
        }
        Self { data, content, errors, is_whole }
    }

    fn chunks(&self) -> Vec<Value> {
        chunks(&self.data).collect()
    }

    /// The one with the bill, when it was asked for.
    pub(crate) fn last_chunk(&self) -> Value {
        chunks(&self.data).next_back().expect("a chunk")
    }

    pub(crate) fn is_done(&self) -> bool {
        self.data.last().is_some_and(|data| data == DONE)
    }

    /// The error event that ends it.
    pub(crate) fn error(&self) -> Option<Value> {
        let last: Value = serde_json::from_str(self.data.last()?).ok()?;
        last.get("error").cloned()
    }
}

/// The last event of a whole stream; each before it is JSON.
const DONE: &str = "[DONE]";

fn chunks(data: &[String]) -> impl DoubleEndedIterator<Item = Value> {
    data.iter().filter(|data| *data != DONE).map(|data| serde_json::from_str(data).expect(data))
}

/// Reads a stream to its end, whole or cut.
pub(crate) async fn read_events(mut response: reqwest::Response) -> Events {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut bytes = Vec::new();
    let is_whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    // Two seconds of an endless stream take more than one to parse: on the thread that the actors and the provider share with
    // the test, the other calls' time-outs would run out meanwhile.
    let parse = move || Events::parse(std::str::from_utf8(&bytes).expect("UTF-8"), is_whole);
    tokio::task::spawn_blocking(parse).await.expect("events")
}

pub(crate) async fn stream(app: &TestApp, user: &TestUser, mut fields: Value) -> Events {
    fields["stream"] = json!(true);
    let response = request(app, user, fields).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    read_events(response).await
}

/// A user's money, out of the tables.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Money {
    pub(crate) charged: i64,
    pub(crate) records: i64,
    pub(crate) open_holds: i64,
    pub(crate) held: i64,
}

async fn money(app: &TestApp, user: &TestUser) -> Money {
    let client = app.database.connect().await;
    let row = client
        .query_one(
            "SELECT (SELECT coalesce(sum(posted), 0)::bigint FROM accounts WHERE user_id = $1 AND asset = 'usd'),
                    (SELECT coalesce(sum(held), 0)::bigint FROM accounts WHERE user_id = $1),
                    (SELECT count(*) FROM usage_records WHERE user_id = $1),
                    (SELECT coalesce(sum(cost), 0)::bigint FROM usage_records WHERE user_id = $1),
                    (SELECT count(*) FROM holds h JOIN accounts a ON a.id = h.account_id WHERE a.user_id = $1 AND h.state = 0)",
            &[&user.id],
        )
        .await
        .expect("the tables");
    let (posted, held): (i64, i64) = (row.get(0), row.get(1));
    let (records, recorded): (i64, i64) = (row.get(2), row.get(3));
    assert_eq!(SIGN_UP_NANOS - posted, recorded, "what is charged is what is recorded");
    Money { charged: recorded, records, open_holds: row.get(4), held }
}

/// The user's money once no hold is open.
pub(crate) async fn settled(app: &TestApp, user: &TestUser) -> Money {
    eventually("no hold is open", async || Some(money(app, user).await).filter(|money| money.open_holds == 0 && money.held == 0))
        .await
}

/// What decision 7 makes of a prompt and an answer that nobody counted, at these prices for a token.
fn estimated_nanos(content: &str, prompt_nanos: i64, completion_nanos: i64) -> i64 {
    let messages = body(json!({}))["messages"].to_string();
    let tokens = |bytes: usize| i64::try_from(bytes.div_ceil(4)).expect("small");
    tokens(messages.len()) * prompt_nanos + tokens(content.len()) * completion_nanos
}
