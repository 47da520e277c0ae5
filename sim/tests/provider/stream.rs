use crate::support::{content, events, hello, post, raw, start, streamed};
use serde_json::{Value, json};
use std::time::Duration;

/// What OpenAI's specification requires of a `CreateChatCompletionStreamResponse`.
fn assert_fits_the_specification(event: &Value) {
    let fields = event.as_object().unwrap();
    for field in ["id", "object", "created", "model", "choices"] {
        assert!(fields.contains_key(field), "{field} is missing: {event}");
    }
    assert_eq!(event["object"], "chat.completion.chunk");
    for choice in event["choices"].as_array().unwrap() {
        let fields = choice.as_object().unwrap();
        for field in ["delta", "finish_reason", "index"] {
            assert!(fields.contains_key(field), "{field} is missing: {event}");
        }
    }
}

async fn ask(body: &Value) -> (String, Vec<Value>) {
    let provider = start().await;
    let response = post(&provider, body).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let events = events(&text);
    events.iter().for_each(assert_fits_the_specification);
    (text, events)
}

#[tokio::test]
async fn a_stream_has_the_role_one_delta_a_token_a_reason_the_usage_and_done() {
    let (text, events) = ask(&streamed(hello("openai/gpt-4o"))).await;
    assert_eq!(events.len(), 1 + 5 + 1 + 1);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(content(&events), "tok1 tok2 tok3 tok4 tok5");
    assert_eq!(events[6]["choices"][0]["delta"], json!({}));
    assert_eq!(events[6]["choices"][0]["finish_reason"], "stop");
    assert!(events[..7].iter().all(|event| event.as_object().unwrap().contains_key("usage") && event["usage"].is_null()));
    assert_eq!(events[7]["choices"], json!([]));
    assert_eq!(events[7]["usage"]["total_tokens"], 7);
    assert!(events.iter().all(|event| event["id"] == events[0]["id"] && event["model"] == "openai/gpt-4o"));
    assert!(text.ends_with("\n\ndata: [DONE]\n\n"));
}

#[tokio::test]
async fn usage_is_streamed_only_when_asked_for() {
    let mut body = hello("m");
    body["stream"] = json!(true);
    let (text, events) = ask(&body).await;
    assert_eq!(events.len(), 1 + 5 + 1);
    assert!(!text.contains("usage"));
}

#[tokio::test]
async fn choices_are_streamed_side_by_side() {
    let mut body = streamed(hello("m"));
    body["n"] = json!(2);
    let (_, events) = ask(&body).await;
    assert_eq!(events.len(), 2 * (1 + 5 + 1) + 1);
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 10);
}

#[tokio::test]
async fn a_tool_call_is_streamed_as_its_name_and_pieces_of_its_arguments() {
    let mut body = streamed(hello("m"));
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    body["tools"] = json!([{ "type": "function", "function": { "name": "weather", "parameters": parameters } }]);
    let (_, events) = ask(&body).await;
    let calls: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["delta"]["tool_calls"][0]).collect();
    assert_eq!(calls[0]["function"]["name"], "weather");
    assert!(calls[0]["id"].is_string());
    let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({ "city": "tok" }));
    assert_eq!(events[6]["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn json_and_logprobs_are_streamed_too() {
    let mut body = streamed(hello("m"));
    body["response_format"] = json!({ "type": "json_object" });
    body["logprobs"] = json!(true);
    let (_, events) = ask(&body).await;
    let value: Value = serde_json::from_str(&content(&events)).unwrap();
    assert_eq!(value["answer"], "tok1 tok2 tok3 tok4 tok5");
    let token = &events[1]["choices"][0];
    assert_eq!(token["logprobs"]["content"][0]["token"], token["delta"]["content"]);
}

#[tokio::test]
async fn tokens_come_one_by_one_at_their_pace() {
    let provider = start().await;
    let answer = raw(&provider, &streamed(hello("sim/token-delay-20")), Duration::from_secs(5)).await;
    // Head and role, each token, the end: the kernel may join neighbours, but not all.
    assert!(answer.reads.len() >= 4, "{} reads", answer.reads.len());
    assert_eq!(content(&events(&answer.text())), "tok1 tok2 tok3 tok4 tok5");
}
