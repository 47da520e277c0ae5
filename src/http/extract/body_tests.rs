use super::*;
use actix_web::test::TestRequest;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only its shape matters")]
struct Message {
    role: String,
    tokens: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only its shape matters")]
struct Call {
    model: String,
    messages: Vec<Message>,
}

fn refusal(body: &str) -> (u16, Value) {
    let error = parse::<Call>(body.as_bytes()).unwrap_err();
    let response = actix_web::ResponseError::error_response(&error);
    let body = futures_util::FutureExt::now_or_never(actix_web::body::to_bytes(response.into_body())).unwrap().unwrap();
    (error.status().as_u16(), serde_json::from_slice::<Value>(&body).unwrap()["detail"][0].take())
}

#[test]
fn a_missing_field_is_named_where_it_is_missing() {
    let (status, field) = refusal(r#"{"model": "m", "messages": [{"role": "user"}, {}]}"#);
    assert_eq!(status, 422);
    assert_eq!(field, json!({"type": "missing", "loc": ["body", "messages", 1, "role"], "msg": "Field required", "input": {}}));
}

#[test]
fn a_wrong_type_shows_what_was_sent_there() {
    let (_, field) = refusal(r#"{"model": 7, "messages": []}"#);
    assert_eq!((&field["type"], &field["loc"], &field["input"]), (&json!("string_type"), &json!(["body", "model"]), &json!(7)));
    let (_, field) = refusal(r#"{"model": "m", "messages": [{"role": "u", "tokens": "many"}]}"#);
    assert_eq!(field["type"], "int_type");
    assert_eq!(field["loc"], json!(["body", "messages", 0, "tokens"]));
}

#[test]
fn what_is_no_json_is_told_from_what_has_a_wrong_shape() {
    assert_eq!(refusal("{\"model\": ").1["type"], "json_invalid");
    assert_eq!(refusal("  ").1["type"], "missing");
    let (_, field) = refusal("[1, 2");
    assert_eq!(field["type"], "json_invalid");
}

#[test]
fn a_very_long_input_is_not_sent_back() {
    let (_, field) = refusal(&format!(r#"{{"model": ["{}"], "messages": []}}"#, "x".repeat(10_000)));
    assert_eq!(field["input"], Value::Null);
}

#[test]
fn our_own_type_names_are_not_shown() {
    let (_, field) = refusal("7");
    assert!(!field.to_string().contains("Call"), "{field}");
}

#[test]
fn json_and_no_content_type_are_taken_and_others_are_not() {
    let accepted = |value: &'static str| is_json(&TestRequest::default().insert_header((CONTENT_TYPE, value)).to_http_request());
    assert!(is_json(&TestRequest::default().to_http_request()));
    for good in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
        assert!(accepted(good), "{good}");
    }
    for bad in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        assert!(!accepted(bad), "{bad}");
    }
}
