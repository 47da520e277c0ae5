use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_domain::GatewayId;

fn read(body: &str) -> Result<ChatRequest, ApiError> {
    ChatRequest::read(Bytes::copy_from_slice(body.as_bytes()))
}

fn with(fields: &str) -> ChatRequest {
    read(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{fields}}}"#)).expect("valid")
}

fn sent(request: &ChatRequest, limit: Option<i64>) -> Value {
    serde_json::from_slice(&request.upstream_body(GatewayId::OpenRouter, &request.model, limit)).expect("JSON")
}

#[test]
fn what_needs_no_change_goes_upstream_as_the_very_same_bytes() {
    let body = Bytes::from_static(
        b" {\"messages\" : [ {\"role\":\"user\",\"content\":\"\\u0068i\"} ],\n \"x\":1.50, \"model\":\"a\\/b\",\"temperature\":1e0 }\n",
    );
    let request = ChatRequest::read(body.clone()).expect("valid");
    let upstream = request.upstream_body(GatewayId::OpenRouter, &request.model, None);
    assert_eq!(request.model, "a/b");
    assert_eq!((upstream.as_ptr(), upstream.len()), (body.as_ptr(), body.len()));
}

#[test]
fn a_stream_asks_for_usage_whatever_the_client_said_of_it() {
    for (fields, expected) in [
        (r#""stream":true"#, json!({"include_usage": true})),
        (r#""stream":true,"stream_options":null"#, json!({"include_usage": true})),
        (r#""stream_options":{},"stream":true"#, json!({"include_usage": true})),
        (r#""stream":true,"stream_options":{"include_usage":false}"#, json!({"include_usage": true})),
        (
            r#""stream":true,"stream_options":{"include_obfuscation":false,"include_usage":null}"#,
            json!({"include_obfuscation": false, "include_usage": true}),
        ),
    ] {
        let request = with(fields);
        assert!(!request.include_usage, "{fields}");
        assert_eq!(sent(&request, None)["stream_options"], expected, "{fields}");
    }
    let asked = with(r#""stream":true,"stream_options":{"include_usage":true}"#);
    assert!(asked.include_usage);
    assert_eq!(asked.upstream_body(GatewayId::OpenRouter, &asked.model, None), asked.body);
}

#[test]
fn a_lowered_limit_stands_in_the_fields_that_the_client_used() {
    let limit = Some(300);
    let both = sent(&with(r#""max_tokens":5000,"max_completion_tokens":6000"#), limit);
    assert_eq!((&both["max_tokens"], &both["max_completion_tokens"]), (&json!(300), &json!(300)));
    let one = sent(&with(r#""max_tokens":5000,"max_completion_tokens":null"#), limit);
    assert_eq!((&one["max_tokens"], &one["max_completion_tokens"]), (&json!(300), &Value::Null));
    let none = sent(&with(r#""seed":1"#), limit);
    assert_eq!((&none["max_tokens"], none.get("max_completion_tokens")), (&json!(300), None));
    let by_openai = with(r#""seed":1"#).upstream_body(GatewayId::OpenAi, "m", limit);
    let by_openai: Value = serde_json::from_slice(&by_openai).expect("JSON");
    assert_eq!((by_openai.get("max_tokens"), &by_openai["max_completion_tokens"]), (None, &json!(300)));
}

#[test]
fn what_is_said_to_us_stays_with_us() {
    let ours = r#""provider":"portkey","portkey_provider":"openai","portkey_virtual_key":"vk-1","session_id":7,"privy_user_id":"did:privy:1","user":"u""#;
    let request = with(ours);
    assert_eq!(request.provider, Provider::Gateway(GatewayId::Portkey));
    assert_eq!(request.portkey_provider.as_deref(), Some("openai"));
    assert_eq!(request.portkey_virtual_key.as_deref(), Some("vk-1"));
    let messages = json!([{"role": "user", "content": "hi"}]);
    assert_eq!(sent(&request, None), json!({"model": "m", "messages": messages, "user": "u"}));
    // OpenRouter's own fields of the same names go on to it.
    let theirs = with(r#""provider":{"order":["x"]},"session_id":"s""#);
    assert_eq!(theirs.upstream_body(GatewayId::OpenRouter, &theirs.model, None), theirs.body);
}

#[test]
fn bad_input_is_refused_with_the_parameter_that_is_wrong() {
    let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
    let full = |fields: &str| format!(r#"{{"model":"m",{messages},{fields}}}"#);
    let of_messages = |value: &str| format!(r#"{{"model":"m","messages":{value}}}"#);
    for (body, param) in [
        (format!("{{{messages}}}"), "model"),
        (format!(r#"{{"model":null,{messages}}}"#), "model"),
        (format!(r#"{{"model":"",{messages}}}"#), "model"),
        (format!(r#"{{"model":7,{messages}}}"#), "model"),
        (r#"{"model":"m"}"#.to_owned(), "messages"),
        (of_messages("[]"), "messages"),
        (of_messages("null"), "messages"),
        (of_messages("\"hi\""), "messages"),
        (of_messages(r#"[{"role":"user","content":"a"},7]"#), "messages[1]"),
        (of_messages(r#"[["user","hi"]]"#), "messages[0]"),
        (of_messages(r#"[{"content":"hi"}]"#), "messages[0]"),
        (of_messages(r#"[{"role":"user"}]"#), "messages[0]"),
        (of_messages(r#"[{"role":"user","content":null}]"#), "messages[0]"),
        (of_messages(r#"[{"role":"assistant","content":null}]"#), "messages[0]"),
        (of_messages(r#"[{"role":7,"content":"hi"}]"#), "messages[0].role"),
        (of_messages(r#"[{"role":"user","content":7}]"#), "messages[0].content"),
        (of_messages(r#"[{"role":"user","content":{"text":"hi"}}]"#), "messages[0].content"),
        (of_messages(r#"[{"role":"user","content":[{"text":"hi"}]}]"#), "messages[0].content[0]"),
        (full(r#""max_tokens":0"#), "max_tokens"),
        (full(r#""max_tokens":-1"#), "max_tokens"),
        (full(r#""max_tokens":1.5"#), "max_tokens"),
        (full(r#""max_tokens":"10""#), "max_tokens"),
        (full(r#""max_tokens":1e400"#), "max_tokens"),
        (full(r#""max_completion_tokens":99999999999999999999"#), "max_completion_tokens"),
        (full(r#""n":0"#), "n"),
        (full(r#""n":129"#), "n"),
        (full(r#""stream":"yes""#), "stream"),
        (full(r#""stream_options":[true]"#), "stream_options"),
        (full(r#""stream_options":{"include_usage":1}"#), "stream_options"),
        (full(r#""provider":"nobody""#), "provider"),
        (full(r#""provider":7"#), "provider"),
        (full(r#""models":"m""#), "models"),
        (full(r#""portkey_provider":"a\r\nx-evil: 1""#), "portkey_provider"),
    ] {
        let error = read(&body).expect_err(&body);
        assert_eq!(error.status().as_u16(), 400, "{body}");
        assert!(format!("{error:?}").contains(&format!("param Some({param:?})")), "{body}: {error:?}");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    for body in [
        "",
        " ",
        "null",
        "[]",
        "7",
        "{",
        r#"{"model":"m""#,
        r#"{"model":"m"} x"#,
        "{\"a\":\"\u{1}\"}",
        r#"{"a":NaN}"#,
        r#"{"a":01}"#,
    ] {
        assert_eq!(read(body).expect_err(body).code(), "invalid_json", "{body}");
    }
}

#[test]
fn no_spelling_hides_another_model_or_limit_behind_the_one_that_is_paid_for() {
    // Mutants: without the two refusals in `members::scan` and `members::field` these are read, and an upstream may
    // read them otherwise.
    for fields in [
        r#""model":"dear""#,
        r#""Model":"dear""#,
        r#""mod\u0065l":"dear""#,
        r#""max_tokens":1,"max_tokens":100000"#,
        r#""MAX_TOKENS":100000"#,
        r#""n":1,"\u006e":64"#,
    ] {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{fields}}}"#);
        assert_eq!(read(&body).expect_err(&body).code(), "invalid_value", "{body}");
    }
    let escaped = read(r#"{"mod\u0065l":"m","messages":[{"role":"user","content":"hi"}]}"#).expect("valid");
    assert_eq!(escaped.model, "m");
}

#[test]
fn nesting_is_bounded_and_brackets_in_texts_are_no_nesting() {
    let nested = |depth: usize| format!(r#""x":{}{}"#, "[".repeat(depth), "]".repeat(depth));
    let body = |fields: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{fields}}}"#);
    assert!(read(&body(&nested(127))).is_ok());
    // Mutant: without `check_depth` this is accepted.
    assert_eq!(read(&body(&nested(128))).expect_err("deep").code(), "invalid_json");
    assert!(read(&body(&format!(r#""x":"{}\"[""#, "[".repeat(500)))).is_ok());
    assert!(read(&body(&format!(r#""x":[{}]"#, ["[]"; 500].join(",")))).is_ok());
}

#[test]
fn tools_array_contents_and_silent_assistants_are_welcome() {
    let request = read(
        r#"{"model":"m","tools":[{"type":"function"}],"messages":[
            {"role":"user","content":[{"type":"text","text":"what is it?"},{"type":"image_url","image_url":{"url":"data:,AAAA"}}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"1"}]},
            {"role":"assistant","tool_calls":[{"id":"2"}]},
            {"role":"tool","tool_call_id":"1","content":""}]}"#,
    )
    .expect("valid");
    assert_eq!(request.prompt.images, 1);
    assert_eq!(request.prompt.image_bytes, r#"{"url":"data:,AAAA"}"#.len());
}

#[test]
fn the_prompts_size_is_that_of_all_that_a_model_may_read() {
    let size = |fields: &str| with(fields).prompt.bytes - r#"[{"role":"user","content":"hi"}]"#.len();
    let schema = r#"{"type":"json_schema","json_schema":{"schema":{}}}"#;
    // The last is a name that we don't know: what an upstream does with it can't be known either.
    for name in ["tools", "functions", "response_format", "prediction", "tool_choice", "chat_template_kwargs"] {
        // Mutant: counting `tools` alone turns this red.
        assert_eq!(size(&format!(r#""{name}": {schema} "#)), schema.len(), "{name}");
    }
    assert_eq!(size(r#""documents":["a"],"chat_template":"bc","tools":[1, 2]"#), 5 + 4 + 6);
    for setting in [
        r#""temperature":0.7,"seed":-1,"store":true,"top_p":null"#,
        r#""user":"u-1","metadata":{"order":"7"},"logit_bias":{"50256":-100},"stop":["\n"]"#,
        r#""stream":true,"stream_options":{"include_usage":true},"provider":{"order":["x"]},"session_id":"s""#,
    ] {
        assert_eq!(size(setting), 0, "{setting}");
    }
}

#[test]
fn a_cache_for_an_hour_is_asked_for_by_a_value_and_not_by_a_text() {
    let asks = |fields: &str| with(fields).asks_for_hour_cache();
    assert!(asks(r#""tools":[{"cache_control":{"type":"ephemeral","ttl": "1h"}}]"#));
    assert!(!asks(r#""tools":[{"cache_control":{"type":"ephemeral","ttl":"5m"},"description":"say \"1h\""}]"#));
}

#[test]
fn content_that_stands_elsewhere_is_told_from_what_is_in_the_body() {
    let unseen = |part: &str| {
        let message = format!(r#"{{"role":"user","content":[{{"type":"text","text":"http://x"}},{part}]}}"#);
        read(&format!(r#"{{"model":"m","messages":[{message}]}}"#)).expect(part).prompt.unseen
    };
    for elsewhere in [
        r#"{"type":"file","file":{"filename":"a.pdf","file_data":"https://x/a.pdf"}}"#,
        r#"{"type":"file","file":{"file_data":"https\u003a\/\/x\/a.pdf"}}"#,
        r#"{"type":"file","file":{"file_id":"file-1"}}"#,
        r#"{"type":"file","file":{"file_id":"file-1","file_data":"AAAA"}}"#,
        r#"{"type":"file","file":{"file_data":"data:,A","file_data":"https://x/a.pdf"}}"#,
        r#"{"type":"file","file":{"filename":"data:,A"}}"#,
        r#"{"type":"video_url","video_url":{"url":"https://x/a.mp4"}}"#,
        r#"{"type":"video_url","video_url":{"url":"gs://x/a.mp4"}}"#,
        r#"{"type":"audio_url","audio_url":{"url":"https://x/a.mp3"}}"#,
        r#"{"type":"input_audio","input_audio":{"data":"https://x/a.mp3","format":"mp3"}}"#,
        r#"{"type":"document_url","document_url":"https://x/a.pdf"}"#,
    ] {
        assert_eq!(unseen(elsewhere), 1, "{elsewhere}");
    }
    for here in [
        r#"{"type":"file","file":{"filename":"C:/a.pdf","file_data":"data:application/pdf;base64,AAAA","file_id":null}}"#,
        r#"{"type":"file","file":{"file_data":"data:application\/pdf;base64,AA\/A"}}"#,
        r#"{"type":"input_audio","input_audio":{"data":"UklGRg\/u+","format":"wav"}}"#,
        r#"{"type":"video_url","video_url":{"url":"data:video/mp4;base64,AAAA"},"file":null}"#,
        r#"{"type":"document_url","document_url":"data:application/pdf;base64,AAAA"}"#,
        r#"{"type":"image_url","image_url":{"url":"https://x/a.png"}}"#,
    ] {
        assert_eq!(unseen(here), 0, "{here}");
    }
    let spoken = r#"{"model":"m","messages":[{"role":"assistant","audio":{"id":"audio_1"}},{"role":"user","content":"so?"}]}"#;
    assert_eq!(read(spoken).expect("valid").prompt.unseen, 1);
}

/// A value in one of JSON's many spellings.
fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1.50".to_owned()),
        Just("-0e+3".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        ".{0,12}".prop_map(|text| Value::from(text).to_string()),
        Just(r#""\u20ac\ud83d\ude00\/""#.to_owned()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[ {}]", list.join(" ,"))),
            inner.prop_map(|value| format!("{{\"k\" :{value} }}")),
        ]
    })
}

proptest! {
    #[test]
    fn every_field_but_the_edited_ones_keeps_its_bytes_and_its_place(
        others in proptest::collection::vec(any_value(), 0..8),
        places in proptest::collection::vec(0..9usize, 6),
        stream in any::<bool>(),
        limit in proptest::option::of(1..10_000i64),
    ) {
        let mut members: Vec<String> = others.iter().enumerate().map(|(at, value)| format!("\"field {at}\" : {value}")).collect();
        let known = [
            r#""model": "m""#.to_owned(),
            r#""messages" :[{"role":"user","content":"\u0068i"}]"#.to_owned(),
            format!(r#""stream":{stream}"#),
            r#""provider":"openrouter""#.to_owned(),
            r#""max_tokens" : 20000"#.to_owned(),
            r#""session_id":1"#.to_owned(),
        ];
        for (member, place) in known.into_iter().zip(places) {
            members.insert(place.min(members.len()), member);
        }
        let request = read(&format!("{{ {} }}", members.join(" , "))).expect("valid");
        let mut expected: Vec<String> = members
            .into_iter()
            .filter(|member| !member.starts_with("\"provider") && !member.starts_with("\"session_id"))
            .map(|member| match limit {
                Some(tokens) if member.starts_with("\"max_tokens") => format!("\"max_tokens\" : {tokens}"),
                _ => member,
            })
            .collect();
        if stream {
            expected.push(r#""stream_options":{"include_usage":true}"#.to_owned());
        }
        let upstream = request.upstream_body(GatewayId::OpenRouter, &request.model, limit);
        prop_assert_eq!(std::str::from_utf8(&upstream).expect("UTF-8"), format!("{{{}}}", expected.join(",")));
        prop_assert!(serde_json::from_slice::<Value>(&upstream).is_ok());
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(ChatRequest::read(body.into()));
    }
}
