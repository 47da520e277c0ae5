use crate::completion::request::ChatRequest;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tollgate_domain::GatewayId;
use tollgate_fuzz::Fuzz;

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
fn expected(sent: &Value, request: &ChatRequest, gateway: GatewayId, limit: Option<i64>) -> Value {
    let mut object = sent.as_object().expect("an object").clone();
    for ours in ["models", "portkey_provider", "portkey_virtual_key", "privy_user_id", "provider"] {
        object.shift_remove(ours);
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
        put_limit(&mut object, gateway, limit);
    }
    object.into()
}

fn put_limit(object: &mut Map<String, Value>, gateway: GatewayId, tokens: i64) {
    let mut given = false;
    for field in ["max_tokens", "max_completion_tokens"] {
        if object.get(field).is_some_and(|given| !given.is_null()) {
            object.insert(field.to_owned(), tokens.into());
            given = true;
        }
    }
    if !given {
        let field = if gateway == GatewayId::OpenAi { "max_completion_tokens" } else { "max_tokens" };
        object.insert(field.to_owned(), tokens.into());
    }
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
        let limit = (dice.below(2) == 0).then_some(300);
        let gateway = if dice.below(2) == 0 { GatewayId::OpenRouter } else { GatewayId::OpenAi };
        let upstream = request.upstream_body(gateway, &request.model, limit);
        assert!(upstream.len() <= body.len() + 128, "{} bytes out of {}", upstream.len(), body.len());
        let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(&upstream);
        assert!(parsed.is_ok() && std::str::from_utf8(&upstream).is_ok(), "no JSON: {}", upstream.escape_ascii());
        // Numbers that no float holds and lone surrogates are JSON, but no `Value`.
        let Ok(sent) = serde_json::from_slice::<Value>(body) else { return };
        check_reading(&request, &sent);
        // Mutant: a `with_usage` that keeps the client's `include_usage` turns this red.
        let mut arrived = serde_json::from_slice::<Value>(&upstream).expect("JSON");
        // OpenRouter's wishes of `provider` are routing's to test.
        arrived.as_object_mut().expect("an object").shift_remove("provider");
        assert_eq!(arrived, expected(&sent, &request, gateway, limit));
    });
    println!("{taken} of the inputs were requests");
}
