use crate::completion::request::{ChatRequest, Limit};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tollgate_fuzz::{Dice, Fuzz};

const REQUESTS: [&str; 6] = [
    r#"{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"Hello"}],"max_tokens":16}"#,
    r#"{"stream":true,"model":"m","messages":[{"role":"system","content":[{"type":"text","text":"a"}]}],"stream_options":{"include_usage":false,"x":[1]},"n":2}"#,
    r#" { "messages" : [ {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:a"}}]} ] , "model" : "a\/b" , "max_completion_tokens" : 5 , "max_tokens":null }"#,
    r#"{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]},{"role":"tool","content":"x"}],"tools":[{"type":"function"}],"provider":{"order":["a"]},"models":["a","b"]}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"x"}],"provider":"openrouter","portkey_provider":"p","portkey_virtual_key":"v","session_id":7,"privy_user_id":"did"}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"\ud83d\ude00\u0000"}],"stream":true,"stream_options":{"include_usage":true},"session_id":"s","x":{"y":[1e5,-0.1]}}"#,
];

const WORDS: [&str; 38] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u006d",
    "\\ud800",
    "null",
    "true",
    "false",
    "\"\"",
    "{}",
    "[]",
    "\u{e9}",
    "\"model\":",
    "\"MODEL\":",
    "\"models\":[\"a\"]",
    "\"messages\":",
    "\"role\":",
    "\"content\":",
    "\"max_tokens\":",
    "\"max_completion_tokens\":",
    "\"n\":",
    "\"stream\":true",
    "\"stream\":false",
    "\"stream_options\":{}",
    "\"stream_options\":null",
    "\"include_usage\":true",
    "\"provider\":null",
    "\"provider\":\"openrouter\"",
    "\"session_id\":7",
    "\"portkey_provider\":\"x\"",
    "\"tools\":[]",
    "\"type\":\"text\"",
    ",\"x\":1",
];

/// The members that speak to us, and what must go upstream in place of them.
fn expected(sent: &Value, request: &ChatRequest, limit: Option<Limit>) -> Value {
    let mut object = sent.as_object().expect("an object").clone();
    for ours in ["portkey_provider", "portkey_virtual_key", "privy_user_id"] {
        object.shift_remove(ours);
    }
    if object.get("provider").is_some_and(|provider| !provider.is_object()) {
        object.shift_remove("provider");
    }
    if object.get("session_id").is_some_and(|id| !id.is_string()) {
        object.shift_remove("session_id");
    }
    if request.stream && !request.include_usage {
        let mut options = object.get("stream_options").and_then(Value::as_object).cloned().unwrap_or_default();
        options.insert("include_usage".to_owned(), json!(true));
        object.insert("stream_options".to_owned(), options.into());
    }
    if let Some(limit) = limit {
        put_limit(&mut object, limit);
    }
    object.into()
}

fn put_limit(object: &mut Map<String, Value>, limit: Limit) {
    let mut given = false;
    for field in ["max_tokens", "max_completion_tokens"] {
        if object.get(field).is_some_and(|tokens| !tokens.is_null()) {
            object.insert(field.to_owned(), limit.tokens.into());
            given = true;
        }
    }
    if !given {
        object.insert(limit.field.to_owned(), limit.tokens.into());
    }
}

fn limit(dice: &mut Dice) -> Option<Limit> {
    let field = if dice.below(2) == 0 { "max_tokens" } else { "max_completion_tokens" };
    (dice.below(2) == 0).then_some(Limit { tokens: 300, field })
}

/// The request means the same to whoever parses it: what we have read is what stands there.
fn check_reading(request: &ChatRequest, sent: &Value) {
    assert_eq!(json!(request.model), sent["model"]);
    assert_eq!(request.stream, sent["stream"] == json!(true));
    assert_eq!(json!(request.choices), if sent["n"].is_null() { json!(1) } else { sent["n"].clone() });
    let tokens = ["max_tokens", "max_completion_tokens"].map(|field| sent[field].as_i64());
    assert_eq!(request.max_tokens, tokens.into_iter().max().flatten());
    assert!(sent["messages"].as_array().is_some_and(|messages| !messages.is_empty()));
}

#[test]
fn fuzz_what_goes_upstream_is_what_the_client_wrote_but_for_our_members() {
    let mut taken = 0_u32;
    Fuzz::new("the request's reader").corpus(REQUESTS).words(WORDS).run(|body, dice| {
        let Ok(request) = ChatRequest::read(Bytes::copy_from_slice(body)) else { return };
        taken += 1;
        let limit = limit(dice);
        let upstream = request.upstream_body(limit);
        assert!(upstream.len() <= body.len() + 128, "{} bytes out of {}", upstream.len(), body.len());
        let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(&upstream);
        assert!(parsed.is_ok() && std::str::from_utf8(&upstream).is_ok(), "no JSON: {}", upstream.escape_ascii());
        // Numbers that no float holds and lone surrogates are JSON, but no `Value`.
        let Ok(sent) = serde_json::from_slice::<Value>(body) else { return };
        check_reading(&request, &sent);
        // Mutant: a `with_usage` that keeps the client's `include_usage` turns this red.
        assert_eq!(serde_json::from_slice::<Value>(&upstream).expect("JSON"), expected(&sent, &request, limit));
    });
    println!("{taken} of the inputs were requests");
}
