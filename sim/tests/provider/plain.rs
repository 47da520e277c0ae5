use crate::support::{client, hello, post, start};
use serde_json::{Value, json};

/// What OpenAI's specification requires of a `CreateChatCompletionResponse` and its parts.
fn assert_fits_the_specification(answer: &Value) {
    for field in ["id", "object", "created", "model", "choices"] {
        assert!(!answer[field].is_null(), "{field} is missing: {answer}");
    }
    assert_eq!(answer["object"], "chat.completion");
    assert!(answer["created"].is_u64());
    for choice in answer["choices"].as_array().unwrap() {
        let fields = choice.as_object().unwrap();
        for field in ["finish_reason", "index", "message", "logprobs"] {
            assert!(fields.contains_key(field), "{field} is missing: {choice}");
        }
        let message = choice["message"].as_object().unwrap();
        for field in ["role", "content", "refusal"] {
            assert!(message.contains_key(field), "{field} is missing: {choice}");
        }
    }
    let usage = &answer["usage"];
    let sum = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"].as_u64().unwrap(), sum);
}

async fn ask(body: &Value) -> Value {
    let provider = start().await;
    let response = post(&provider, body).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let answer: Value = response.json().await.unwrap();
    assert_fits_the_specification(&answer);
    answer
}

#[tokio::test]
async fn an_answer_has_the_text_and_the_counts_that_the_request_implies() {
    let answer = ask(&hello("openai/gpt-4o-mini")).await;
    assert_eq!(answer["model"], "openai/gpt-4o-mini");
    assert_eq!(answer["choices"][0]["message"]["content"], "tok1 tok2 tok3 tok4 tok5");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    // "Hello!" is six bytes: two tokens.
    assert_eq!(answer["usage"]["prompt_tokens"], 2);
    assert_eq!(answer["usage"]["completion_tokens"], 5);
}

// Mutant: rounding down turns this red.
#[tokio::test]
async fn prompt_tokens_count_the_bytes_of_texts_wherever_they_stand() {
    let messages = json!([
        { "role": "system", "content": "12345678" },
        { "role": "user", "content": [
            { "type": "text", "text": "ä€" },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAAAAAAAAAAAAAAAAAA" } },
        ] },
        { "role": "assistant", "content": null, "tool_calls": [] },
    ]);
    // 8 + 2 + 3 bytes.
    assert_eq!(ask(&json!({ "model": "m", "messages": messages })).await["usage"]["prompt_tokens"], 4);
    let empty = json!({ "model": "m", "messages": [{ "role": "user", "content": "" }] });
    assert_eq!(ask(&empty).await["usage"]["prompt_tokens"], 1);
}

#[tokio::test]
async fn completion_tokens_follow_the_limit_the_default_and_the_cap() {
    for (limit, tokens, reason) in [
        (json!({}), 16, "stop"),
        (json!({ "max_tokens": null }), 16, "stop"),
        (json!({ "max_tokens": 3 }), 3, "stop"),
        (json!({ "max_tokens": 3, "max_completion_tokens": 7 }), 7, "stop"),
        (json!({ "max_tokens": 5000 }), 4096, "length"),
    ] {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
        body.as_object_mut().unwrap().extend(limit.as_object().unwrap().clone());
        let answer = ask(&body).await;
        let words = answer["choices"][0]["message"]["content"].as_str().unwrap().split(' ').count();
        assert_eq!((words, &answer["usage"]["completion_tokens"]), (tokens, &json!(tokens)));
        assert_eq!(answer["choices"][0]["finish_reason"], reason);
    }
}

#[tokio::test]
async fn every_choice_counts() {
    let mut body = hello("m");
    body["n"] = json!(3);
    let answer = ask(&body).await;
    let indices: Vec<_> = answer["choices"].as_array().unwrap().iter().map(|choice| choice["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [0, 1, 2]);
    assert_eq!(answer["usage"]["completion_tokens"], 15);
}

#[tokio::test]
async fn a_tool_is_called_with_arguments_that_fit_and_its_result_is_talked_about() {
    let schema = json!({ "type": "object", "properties": {
        "city": { "type": "string" }, "days": { "type": "integer", "minimum": 2 },
        "unit": { "enum": ["celsius", "kelvin"] }, "tags": { "type": "array", "items": { "type": "string" } },
    } });
    let mut body = hello("m");
    body["tools"] = json!([
        { "type": "function", "function": { "name": "time" } },
        { "type": "function", "function": { "name": "weather", "parameters": schema } },
    ]);
    let first = ask(&body).await;
    assert_eq!(first["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "time");

    body["tool_choice"] = json!({ "type": "function", "function": { "name": "weather" } });
    let chosen = ask(&body).await;
    let choice = &chosen["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert!(choice["message"]["content"].is_null());
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("weather")));
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({ "city": "tok", "days": 2, "unit": "celsius", "tags": [] }));

    let result = json!({ "role": "tool", "tool_call_id": call["id"], "content": "sunny" });
    body["messages"].as_array_mut().unwrap().push(result);
    assert_eq!(ask(&body).await["choices"][0]["finish_reason"], "stop");

    body["messages"].as_array_mut().unwrap().pop();
    body["tool_choice"] = json!("none");
    assert_eq!(ask(&body).await["choices"][0]["message"]["content"], "tok1 tok2 tok3 tok4 tok5");
}

#[tokio::test]
async fn a_response_format_makes_the_content_json() {
    let mut body = hello("m");
    body["response_format"] = json!({ "type": "json_object" });
    let content =
        |answer: &Value| -> Value { serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap() };
    assert_eq!(content(&ask(&body).await), json!({ "answer": "tok1 tok2 tok3 tok4 tok5" }));
    let schema = json!({ "type": "object", "properties": { "steps": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/step" } } },
        "$defs": { "step": { "type": "object", "properties": { "done": { "type": ["boolean", "null"] } } } } });
    body["response_format"] = json!({ "type": "json_schema", "json_schema": { "name": "plan", "schema": schema } });
    assert_eq!(content(&ask(&body).await), json!({ "steps": [{ "done": true }] }));
}

#[tokio::test]
async fn logprobs_tell_of_each_token() {
    let mut body = hello("m");
    body["logprobs"] = json!(true);
    body["top_logprobs"] = json!(2);
    let answer = ask(&body).await;
    let content = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(content.len(), 5);
    for field in ["token", "logprob", "bytes", "top_logprobs"] {
        assert!(!content[0][field].is_null(), "{field}");
    }
    assert_eq!(content[0]["top_logprobs"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn no_key_and_the_bad_key_are_refused_in_openais_words() {
    let provider = start().await;
    let url = format!("http://{}/v1/chat/completions", provider.addr());
    let request = || client().post(&url).json(&hello("m"));
    for request in [request(), request().bearer_auth("bad-key"), request().header("authorization", "Basic eA==")] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["error"]["code"], "invalid_api_key");
        assert!(error["error"]["message"].is_string() && error["error"].as_object().unwrap().contains_key("param"));
    }
    let response = request().header("x-portkey-api-key", "a-key").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!((provider.stats().rejected, provider.stats().started), (3, 1));
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let provider = start().await;
    let hi = json!([{ "role": "user", "content": "hi" }]);
    for body in [
        json!({}),
        json!({ "model": "m" }),
        json!({ "model": "m", "messages": [] }),
        json!({ "model": "m", "messages": "hi" }),
        json!({ "model": "m", "messages": hi, "max_tokens": -1 }),
        json!({ "model": "m", "messages": hi, "n": 0 }),
        json!({ "model": "m", "messages": [{ "role": "user", "content": { "text": "hi" } }] }),
    ] {
        assert_eq!(post(&provider, &body).await.status(), 400, "{body}");
    }
    assert_eq!(post(&provider, &hello("sim/no-such-word")).await.status(), 404);
}

#[tokio::test]
async fn a_chunked_request_is_read_like_any_other() {
    let provider = start().await;
    let body = reqwest::Body::wrap_stream(in_pieces(hello("m").to_string()));
    let url = format!("{}/chat/completions", provider.base_url());
    let response = client().post(url).bearer_auth("a-key").body(body).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "tok1 tok2 tok3 tok4 tok5");
}

/// The text in three pieces, so that the client sends it in chunks.
fn in_pieces(text: String) -> impl futures_util::TryStream<Ok = String, Error = std::io::Error> + Send + 'static {
    let (first, second) = text.split_at(7);
    let pieces = [first.to_owned(), String::from(second), String::from(" ")];
    futures_util::stream::iter(pieces.map(Ok))
}
