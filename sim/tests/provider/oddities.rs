//! Whole and right answers, oddly written: the bytes are as told, and what they mean is not changed.

use crate::support::{End, RawAnswer, content, events, hello, raw, start, streamed};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_sim::provider::{Behaviour, Outcome};

const PATIENCE: Duration = Duration::from_secs(10);
const FIVE: &str = "tok1 tok2 tok3 tok4 tok5";

async fn streamed_as(words: &str) -> RawAnswer {
    raw(&start().await, &streamed(hello(&format!("sim/{words}"))), PATIENCE).await
}

async fn plain_as(words: &str) -> Value {
    raw(&start().await, &hello(&format!("sim/{words}")), PATIENCE).await.json()
}

#[tokio::test]
async fn every_oddity_is_a_whole_answer_in_both_forms() {
    for (word, _) in Behaviour::oddities() {
        let provider = start().await;
        let stream = raw(&provider, &streamed(hello(&format!("sim/{word}"))), PATIENCE).await;
        assert_eq!((stream.status(), stream.end), (200, End::Whole), "{word}");
        assert!(stream.text().contains("[DONE]"), "{word}");
        let plain = raw(&provider, &hello(&format!("sim/{word}")), PATIENCE).await;
        assert_eq!((plain.status(), plain.end), (200, End::Whole), "{word}");
        assert!(plain.text().contains("completion_tokens"), "{word}");
        assert!(provider.requests().iter().all(|request| request.outcome == Outcome::Finished), "{word}");
    }
}

#[tokio::test]
async fn lines_fields_and_marks_are_as_told() {
    let crlf = streamed_as("crlf").await.text();
    assert_eq!(crlf.matches('\n').count(), crlf.matches("\r\n").count());
    assert_eq!(content(&events(&crlf)), FIVE);
    let bom = streamed_as("bom").await;
    assert!(bom.body.starts_with(b"\xef\xbb\xbfdata: "));
    let no_space = streamed_as("no-space").await.text();
    assert!(no_space.contains("data:{") && no_space.contains("data:[DONE]") && !no_space.contains("data: "));
    let comments = streamed_as("comments").await.text();
    assert!(comments.starts_with(": OPENROUTER PROCESSING\n\n"));
    assert_eq!(comments.matches(": OPENROUTER PROCESSING").count(), 9);
    let after = streamed_as("events-after-done").await.text();
    assert!(after.split("data: [DONE]").nth(1).unwrap().contains("tok6"));
}

#[tokio::test]
async fn an_event_over_two_lines_is_json_when_they_are_joined() {
    let text = streamed_as("multi-line").await.text();
    let joined = text
        .split("\n\n")
        .filter(|event| !event.is_empty())
        .map(|event| event.lines().map(|line| line.strip_prefix("data: ").unwrap()).collect::<Vec<_>>().join("\n"));
    let events: Vec<Value> = joined.filter(|data| data != "[DONE]").map(|data| serde_json::from_str(&data).unwrap()).collect();
    assert!(text.matches("data: ").count() > events.len() * 2 - 1);
    assert_eq!(content(&events), FIVE);
}

// Mutant: text written whole turns this red.
#[tokio::test]
async fn characters_are_cut_by_writes_and_whole_in_the_end() {
    let answer = streamed_as("split-utf8").await;
    let cut = answer.reads.iter().filter(|read| str::from_utf8(read).is_err()).count();
    assert!(cut > 0, "no read ends inside a character");
    assert_eq!(content(&events(std::str::from_utf8(&answer.body).unwrap())), "€1 €2 €3 €4 €5");
    assert_eq!(plain_as("split-utf8").await["choices"][0]["message"]["content"], "€1 €2 €3 €4 €5");
}

#[tokio::test]
async fn openrouter_tells_its_usage_unasked_and_with_its_cost() {
    let provider = start().await;
    let mut body = hello("sim/openrouter-usage;tokens:100");
    body["stream"] = json!(true);
    let told = events(&raw(&provider, &body, PATIENCE).await.text());
    let last = told.last().unwrap();
    assert_eq!(last["choices"].as_array().unwrap().len(), 1);
    assert_eq!(last["usage"]["completion_tokens"], 100);
    assert_eq!(last["usage"]["cost"].as_f64(), Some(0.000_202));
}

#[tokio::test]
async fn counts_are_what_the_behaviour_says() {
    assert_eq!(plain_as("usage:11,7").await["usage"]["total_tokens"], 18);
    let details = plain_as("cached:4;cache-write:3;reasoning:2").await["usage"].clone();
    assert_eq!(details["prompt_tokens_details"]["cached_tokens"], 4);
    assert_eq!(details["prompt_tokens_details"]["cache_write_tokens"], 3);
    assert_eq!(details["completion_tokens_details"]["reasoning_tokens"], 2);
    let long = plain_as("tokens:5000").await;
    assert_eq!(long["usage"]["completion_tokens"], 5000);
    assert!(long["choices"][0]["message"]["content"].as_str().unwrap().ends_with(" tok4999 tok5000"));
    let huge = plain_as("huge").await;
    assert!(huge["choices"][0]["message"]["content"].as_str().unwrap().len() >= 1 << 20);
    assert_eq!(huge["usage"]["completion_tokens"], 5);
    assert_eq!(plain_as("length").await["choices"][0]["finish_reason"], "length");
}
