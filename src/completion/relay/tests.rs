use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_domain::UsageReading;

fn chunk(text: &str) -> String {
    format!(
        r#"{{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
    )
}

const LAST: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}}"#;

fn usage_chunk() -> String {
    format!(r#"{{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":[],"usage":{USAGE}}}"#)
}

fn events<'a>(data: impl IntoIterator<Item = &'a str>) -> String {
    data.into_iter().map(|data| format!("data: {data}\n\n")).collect()
}

/// What went out, and how it ended.
fn relayed(relay: &mut Relay, stream: &str) -> (String, Progress) {
    let mut progress = relay.feed(stream.as_bytes());
    if matches!(progress, Progress::More) {
        progress = relay.end();
    }
    let out = relay.take_output().unwrap_or_default();
    (String::from_utf8(out.to_vec()).expect("UTF-8"), progress)
}

fn closed(relay: &mut Relay, is_theirs: bool) -> String {
    let usage = TokenUsage { prompt: 8, completion: 9, ..TokenUsage::default() };
    let closing =
        Closing { generation: "gen-1", created: 70, model: "asked", usage, is_theirs, gateway_usage: br#"{"cost_usd":1}"# };
    String::from_utf8(relay.closing(&closing).to_vec()).expect("UTF-8")
}

/// The `data` of each frame, as JSON.
fn data(frames: &str) -> Vec<Value> {
    let json = |frame: &str| serde_json::from_str(frame.strip_prefix("data: ").expect("data")).expect("JSON");
    frames.split_terminator("\n\n").filter(|frame| *frame != "data: [DONE]").map(json).collect()
}

#[test]
fn who_did_not_ask_for_usage_gets_the_providers_bytes_without_the_usage_chunk() {
    let before = format!(": PROCESSING\n\n{}", events([chunk("a").as_str(), LAST]));
    let mut relay = Relay::new(false, 1);
    let (out, progress) = relayed(&mut relay, &format!("{before}{}", events([usage_chunk().as_str(), "[DONE]"])));
    assert!(matches!(progress, Progress::Done));
    assert_eq!(out, before);
    assert_eq!(closed(&mut relay, true), "data: [DONE]\n\n");
    let received = relay.received();
    assert_eq!((received.readings, received.content_bytes, received.finish_reason.as_deref()), (1, 1, Some("stop")));
}

#[test]
fn who_asked_for_usage_gets_null_in_every_chunk_and_one_last_chunk_without_choices() {
    let mut relay = Relay::new(true, 1);
    let with_null = LAST.replace("}]}", "}],\"usage\":null}");
    let (out, _) = relayed(&mut relay, &events([chunk("a").as_str(), &with_null, usage_chunk().as_str(), "[DONE]"]));
    let chunks = data(&out);
    assert_eq!(chunks.len(), 2);
    // Mutant: passing chunks without usage as they are turns this red.
    assert!(chunks.iter().all(|chunk| chunk.as_object().unwrap().get("usage") == Some(&Value::Null)), "{out}");
    let last = closed(&mut relay, true);
    assert!(last.ends_with("}\n\ndata: [DONE]\n\n"));
    let [last] = &data(&last)[..] else { panic!("{last}") };
    assert_eq!((&last["choices"], &last["id"], &last["gateway_usage"]), (&json!([]), &json!("c1"), &json!({"cost_usd": 1})));
    assert_eq!(last["usage"].to_string(), USAGE);
}

#[test]
fn usage_inside_a_chunk_with_choices_moves_into_a_chunk_of_its_own() {
    let mut relay = Relay::new(true, 1);
    let inside = LAST.replace("}]}", &format!("}}],\"usage\": {USAGE} }}"));
    let (out, _) = relayed(&mut relay, &events([chunk("a").as_str(), &inside, "[DONE]"]));
    assert_eq!(data(&out)[1]["usage"], Value::Null);
    assert_eq!(data(&out)[1]["choices"][0]["finish_reason"], "stop");
    let last = &data(&closed(&mut relay, true))[0];
    assert_eq!((last["usage"].to_string().as_str(), &last["model"], &last["created"]), (USAGE, &json!("m-1"), &json!(7)));
}

#[test]
fn what_is_not_the_providers_count_is_shown_as_it_is_charged() {
    for (stream, is_theirs) in [(events([LAST, "[DONE]"]), true), (events([LAST, usage_chunk().as_str(), "[DONE]"]), false)] {
        let mut relay = Relay::new(true, 1);
        relayed(&mut relay, &stream);
        let last = &data(&closed(&mut relay, is_theirs))[0];
        assert_eq!(last["usage"], json!({"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17}));
        assert_eq!(last["object"], "chat.completion.chunk");
    }
    let mut relay = Relay::new(true, 1);
    relayed(&mut relay, "data: [DONE]\n\n");
    let last = &data(&closed(&mut relay, true))[0];
    assert_eq!((&last["id"], &last["model"], &last["created"]), (&json!("gen-1"), &json!("asked"), &json!(70)));
}

#[test]
fn an_end_without_done_is_whole_only_when_every_choice_is_finished() {
    let ended = |choices: i64, stream: &str| matches!(relayed(&mut Relay::new(false, choices), stream).1, Progress::Done);
    let finished = events([chunk("a").as_str(), LAST]);
    assert!(ended(1, &finished));
    assert!(!ended(2, &finished));
    assert!(ended(2, &events([LAST, LAST])));
    // Mutant: taking any end for a good one turns these red.
    assert!(!ended(1, &events([chunk("a").as_str()])));
    assert!(!ended(1, ""));
    assert!(ended(1, "data: [DONE]"));
}

#[test]
fn what_breaks_a_stream_is_told_apart_and_what_came_before_it_has_gone_out() {
    let status = |stream: &str| {
        let mut relay = Relay::new(false, 1);
        let (out, progress) = relayed(&mut relay, &format!("{}{stream}", events([chunk("a").as_str()])));
        assert_eq!(out, events([chunk("a").as_str()]));
        match progress {
            Progress::Failed(error) => refusal::of_gateway(tollgate_domain::GatewayId::OpenRouter, &error).status().as_u16(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(status("data: {\"id\":\n\n"), 502);
    assert_eq!(status("data: {\"id\":"), 502);
    assert_eq!(status("data: 7\n\n"), 502);
    assert_eq!(status(&format!("data: {}\n\n", "x".repeat(2 << 20))), 502);
    let error =
        r#"{"id":"c1","error":{"code":429,"message":"slow down"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#;
    assert_eq!(status(&events([error])), 429);
}

#[test]
fn what_comes_after_done_is_dropped_and_of_two_usages_the_last_sane_one_counts() {
    let mut relay = Relay::new(false, 1);
    let absurd = usage_chunk().replace("\"completion_tokens\":2", "\"completion_tokens\":-2");
    let stream = events([LAST, usage_chunk().as_str(), absurd.as_str(), "[DONE]", chunk("late").as_str()]);
    let (out, progress) = relayed(&mut relay, &stream);
    assert!(matches!(progress, Progress::Done));
    assert_eq!(out, events([LAST]));
    let received = relay.received();
    assert_eq!((received.readings, received.reading.map(|UsageReading { usage, .. }| usage.total())), (2, Some(5)));
}

#[test]
fn a_member_is_added_at_the_end_of_any_object() {
    assert_eq!(with_member(b"{\"a\": {\"b\":1} } \n", "n", b"1"), "{\"a\": {\"b\":1} ,\"n\":1}");
    assert_eq!(with_member(b"{ }", "n", b"null"), "{ \"n\":null}");
}

proptest! {
    #[test]
    fn any_chunking_relays_the_same(cuts in proptest::collection::vec(0..900usize, 0..12), wants_usage in any::<bool>(), crlf in any::<bool>()) {
        let mut stream = events([chunk("€").as_str(), LAST, usage_chunk().as_str(), "[DONE]"]);
        if crlf {
            stream = stream.replace('\n', "\r\n");
        }
        let mut whole = Relay::new(wants_usage, 1);
        let (expected, _) = relayed(&mut whole, &stream);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let mut relay = Relay::new(wants_usage, 1);
        let (mut out, mut is_done) = (Vec::new(), false);
        for cut in cuts.windows(2) {
            let progress = relay.feed(&stream.as_bytes()[cut[0]..cut[1]]);
            out.extend(relay.take_output().unwrap_or_default());
            if matches!(progress, Progress::Done) {
                is_done = true;
                break;
            }
        }
        prop_assert!(is_done);
        prop_assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
        prop_assert_eq!(relay.received(), whole.received());
        prop_assert_eq!(closed(&mut relay, true), closed(&mut whole, true));
    }
}
