//! Faults, byte by byte.

use crate::support::{End, RawAnswer, client, content, events, get, hello, raw, start, streamed};
use serde_json::Value;
use std::io::Read;
use std::time::{Duration, Instant};
use tollgate_sim::provider::{Behaviour, Outcome};

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(150);

async fn stream(words: &str, patience: Duration) -> RawAnswer {
    raw(&start().await, &streamed(hello(&format!("sim/{words}"))), patience).await
}

async fn plain(words: &str, patience: Duration) -> RawAnswer {
    raw(&start().await, &hello(&format!("sim/{words}")), patience).await
}

fn is_unfinished(answer: &RawAnswer) -> bool {
    !answer.text().contains("[DONE]") && !answer.text().contains(r#""finish_reason":"stop""#)
}

// Mutant: without `set_zero_linger` both are closed, not reset.
#[tokio::test]
async fn a_reset_comes_after_so_many_tokens_and_is_a_reset() {
    let answer = stream("rst-after-3", PATIENCE).await;
    assert_eq!(answer.end, End::Reset);
    assert_eq!(content(&events(&answer.text())), "tok1 tok2 tok3");
    assert!(is_unfinished(&answer));
    let answer = plain("rst-after-3", PATIENCE).await;
    assert_eq!(answer.end, End::Reset);
    assert!(answer.head.contains("content-length") && serde_json::from_slice::<Value>(&answer.body).is_err());
    assert_eq!(plain("rst", PATIENCE).await.end, End::Reset);
    assert_eq!(stream("rst", PATIENCE).await.reads.len(), 0);
}

// Mutant: bodies without their last HTTP chunk turn this red.
#[tokio::test]
async fn an_eof_is_clean_for_http_and_a_cut_is_not() {
    let answer = stream("eof-after-3", PATIENCE).await;
    assert_eq!(answer.end, End::Whole);
    assert_eq!(content(&events(&answer.text())), "tok1 tok2 tok3");
    assert!(is_unfinished(&answer));
    let answer = stream("cut-after-3", PATIENCE).await;
    assert_eq!(answer.end, End::Closed);
    assert_eq!(content(&events(&answer.text())), "tok1 tok2 tok3");
    assert!(is_unfinished(&answer));
    let answer = plain("eof-after-3", PATIENCE).await;
    assert_eq!(answer.end, End::Whole);
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
    assert_eq!(plain("cut-after-3", PATIENCE).await.end, End::Closed);
    let answer = plain("hang-up", PATIENCE).await;
    assert_eq!((answer.end, answer.reads.len()), (End::Closed, 0));
}

#[tokio::test]
async fn a_stream_that_breaks_off_past_its_end_breaks_off_before_its_reason() {
    let answer = stream("eof-after:900", PATIENCE).await;
    assert_eq!(content(&events(&answer.text())), "tok1 tok2 tok3 tok4 tok5");
    assert!(is_unfinished(&answer));
}

#[tokio::test]
async fn half_an_event_ends_the_stream() {
    let answer = stream("half-event-then-eof", PATIENCE).await;
    assert_eq!(answer.end, End::Whole);
    let text = answer.text();
    let (whole, half) = text.rsplit_once("\n\n").unwrap();
    assert_eq!(content(&events(whole)), "tok1 tok2");
    assert!(half.starts_with("data: {") && serde_json::from_str::<Value>(&half[6..]).is_err());
}

#[tokio::test]
async fn chunks_lie_after_an_honest_one() {
    for stream in [true, false] {
        let body = hello("sim/chunk-lies");
        let answer = raw(&start().await, &if stream { streamed(body) } else { body }, PATIENCE).await;
        assert_eq!(answer.end, End::Closed);
        assert!(!answer.body.is_empty(), "the first chunk is honest");
        assert!(answer.reads.concat().ends_with(b"\r\nzz\r\n"));
    }
    let provider = start().await;
    let url = format!("{}/chat/completions", provider.base_url());
    let request = client().post(url).bearer_auth("k").json(&streamed(hello("sim/chunk-lies")));
    assert!(request.send().await.unwrap().bytes().await.is_err(), "a usual client notices");
}

#[tokio::test]
async fn an_announced_length_is_never_reached() {
    for answer in [stream("lying-content-length", PATIENCE).await, plain("lying-content-length", PATIENCE).await] {
        let announced = answer.head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        assert_eq!(announced.parse::<usize>().unwrap(), answer.body.len() + 1_000);
        assert_eq!(answer.end, End::Closed);
    }
}

#[tokio::test]
async fn silence_is_silent_where_it_is_told_to_be() {
    for answer in [stream("silent", SHORT).await, plain("silent", SHORT).await] {
        assert_eq!((answer.end, answer.reads.len()), (End::Silence, 0));
    }
    for answer in [stream("headers-then-silence", SHORT).await, plain("headers-then-silence", SHORT).await] {
        assert_eq!((answer.end, answer.status(), answer.body.len()), (End::Silence, 200, 0));
    }
    let answer = stream("stall-after-3", SHORT).await;
    assert_eq!(answer.end, End::Silence);
    assert_eq!(content(&events(&answer.text())), "tok1 tok2 tok3");
    let answer = plain("stall-after-3", SHORT).await;
    assert_eq!(answer.end, End::Silence);
    assert!(!answer.body.is_empty());
}

#[tokio::test]
async fn a_slow_body_comes_byte_by_byte() {
    let provider = start().await;
    let url = format!("{}/chat/completions", provider.base_url());
    let request = client().post(url).bearer_auth("k").json(&hello("sim/slow")).timeout(Duration::from_millis(300));
    let response = request.send().await.unwrap();
    assert!(response.bytes().await.unwrap_err().is_timeout(), "one byte a second is not done in 300 ms");

    let began = Instant::now();
    let answer = plain("slow:1", PATIENCE).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "tok1 tok2 tok3 tok4 tok5");
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?} for {} bytes", began.elapsed(), answer.body.len());
    let answer = stream("slow:1;tokens:1", PATIENCE).await;
    assert_eq!(content(&events(&answer.text())), "tok1");
}

#[tokio::test]
async fn bad_json_and_bad_utf8_are_bad() {
    let text = stream("bad-json", PATIENCE).await.text();
    let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let bad = data.iter().filter(|data| serde_json::from_str::<Value>(data).is_err() && **data != "[DONE]").count();
    assert_eq!(bad, 1);
    assert_eq!(data.last(), Some(&"[DONE]"));
    assert!(serde_json::from_slice::<Value>(&plain("bad-json", PATIENCE).await.body).is_err());
    for answer in [stream("bad-utf8", PATIENCE).await, plain("bad-utf8", PATIENCE).await] {
        assert_eq!(answer.end, End::Whole);
        assert!(answer.body.windows(3).any(|window| window == [0xff, 0xfe, 0xff]));
    }
}

#[tokio::test]
async fn statuses_are_answered_with_an_error_body() {
    for (words, status, retry_after) in [
        ("429", 429, None),
        ("retry-after:7", 429, Some("7")),
        ("503;retry-after:1", 503, Some("1")),
        ("529", 529, None),
        ("status:418", 418, None),
    ] {
        for answer in [stream(words, PATIENCE).await, plain(words, PATIENCE).await] {
            assert_eq!((answer.status(), answer.end), (status, End::Whole), "{words}");
            assert!(answer.json()["error"]["message"].is_string(), "{words}");
            assert_eq!(answer.head.lines().find_map(|line| line.strip_prefix("retry-after: ")), retry_after, "{words}");
        }
    }
    let page = plain("500-html", PATIENCE).await;
    assert_eq!(page.status(), 500);
    assert!(page.head.contains("text/html") && page.text().starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn an_error_comes_inside_a_200() {
    let answer = stream("error-in-200", PATIENCE).await;
    let events = events(&answer.text());
    assert_eq!(content(&events), "tok1 tok2");
    let last = events.last().unwrap();
    assert_eq!((last["error"]["code"].as_u64(), last["choices"][0]["finish_reason"].as_str()), (Some(502), Some("error")));
    assert!(!answer.text().contains("[DONE]"));
    let answer = plain("error-in-200", PATIENCE).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.json()["error"].is_object());
}

#[tokio::test]
async fn json_comes_where_events_were_asked_for() {
    let answer = stream("json-instead-of-sse", PATIENCE).await;
    assert!(answer.head.contains("application/json"));
    assert_eq!(answer.json()["object"], "chat.completion");
}

#[tokio::test]
async fn a_long_line_is_as_long_as_told() {
    let answer = stream("long-line:300000", PATIENCE).await;
    assert_eq!(answer.end, End::Whole);
    assert!(answer.text().lines().any(|line| line.len() > 300_000));
    assert_eq!(content(&events(&answer.text())).len(), 300_000);
    let answer = plain("long-line:300000", PATIENCE).await;
    assert!(answer.json()["choices"][0]["message"]["content"].as_str().unwrap().len() >= 300_000);
}

#[tokio::test]
async fn usage_lies_as_told() {
    let usages = |answer: &RawAnswer| -> Vec<Value> {
        events(&answer.text()).iter().map(|event| event["usage"].clone()).filter(Value::is_object).collect()
    };
    assert!(usages(&stream("no-usage", PATIENCE).await).is_empty());
    assert!(!plain("no-usage", PATIENCE).await.text().contains("\"usage\""));
    assert_eq!(usages(&stream("usage-twice", PATIENCE).await).len(), 2);
    assert_eq!(plain("usage-twice", PATIENCE).await.text().matches(r#""usage":"#).count(), 2);
    assert_eq!(usages(&stream("negative-usage", PATIENCE).await)[0]["completion_tokens"], -7);
    assert_eq!(plain("absurd-usage", PATIENCE).await.json()["usage"]["prompt_tokens"], 1_000_000_000_000_000_u64);
    let empty = stream("zero-tokens", PATIENCE).await;
    assert_eq!(usages(&empty)[0]["completion_tokens"], 0);
    assert!(empty.text().contains("[DONE]") && !empty.text().contains("stop"));
    let empty = plain("zero-tokens", PATIENCE).await.json();
    assert_eq!(empty["choices"][0]["message"]["content"], "");
    assert!(empty["choices"][0]["finish_reason"].is_null());
}

#[tokio::test]
async fn a_redirect_counts_who_follows() {
    let provider = start().await;
    let answer = raw(&provider, &hello("sim/redirect"), PATIENCE).await;
    assert_eq!(answer.status(), 307);
    let target = answer.head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    get(&provider, target).await;
    assert_eq!(provider.stats().redirects_followed, 1);
}

#[tokio::test]
async fn gzip_comes_unasked_and_is_true_gzip() {
    let answer = plain("gzip-unasked", PATIENCE).await;
    assert!(answer.head.contains("content-encoding: gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["object"], "chat.completion");
}

#[tokio::test]
async fn an_endless_answer_outlasts_any_limit() {
    for body in [streamed(hello("sim/endless;token-delay:1")), hello("sim/endless;token-delay:1")] {
        let provider = start().await;
        let url = format!("{}/chat/completions", provider.base_url());
        let request = client().post(url).bearer_auth("k").json(&body).timeout(Duration::from_millis(500));
        assert!(request.send().await.unwrap().bytes().await.unwrap_err().is_timeout());
        assert!(provider.stats().completion_tokens > 20, "{:?}", provider.stats());
    }
}

/// The contract that loops over all faults build on: those that say that they end do, and the counts close.
#[tokio::test]
async fn every_fault_ends_as_it_says_and_is_counted_once() {
    for (word, behaviour) in Behaviour::faults() {
        // The second of each byte and the 100 MB are tried above, at a smaller size.
        let words = match word {
            "slow" => "slow:0".to_owned(),
            "long-line" => "long-line:100000".to_owned(),
            _ => word.to_owned(),
        };
        for stream in [true, false] {
            let provider = start().await;
            let mut body = hello(&format!("sim/{words}"));
            body["stream"] = Value::Bool(stream);
            if word == "endless" {
                continue;
            }
            let patience = if behaviour.ends() { PATIENCE } else { SHORT };
            let answer = raw(&provider, &body, patience).await;
            assert_eq!(answer.end == End::Silence, !behaviour.ends(), "{word} {stream}");
            let stats = crate::support::until(&provider, |stats| stats.open == 0).await;
            assert_eq!(stats.started, stats.finished + stats.faulted + stats.cancelled, "{word} {stream}");
            assert_ne!(provider.requests()[0].outcome, Outcome::Open, "{word} {stream}");
        }
    }
}
