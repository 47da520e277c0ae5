//! Answers as they come.

use super::*;
use crate::support;

#[actix_web::test]
async fn a_stream_passes_and_is_charged_before_its_last_byte() {
    let app = support::app().await;
    let user = app.register_user().await;
    let response = request(&app, &user, json!({"stream": true})).send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    assert_eq!((header("cache-control"), header("x-accel-buffering")), ("no-cache".to_owned(), "no".to_owned()));
    assert!(header("x-generation-id").starts_with("gen-"));
    let events = read_events(response).await;
    assert!(events.is_whole && events.is_done());
    // At once, without waiting: `[DONE]` comes after the settle is durable.
    assert_eq!(money(&app, &user).await, Money { charged: COST_NANOS, records: 1, open_holds: 0, held: 0 });
    assert_eq!(events.content, "tok1 tok2 tok3 tok4 tok5");
    let chunks = events.chunks();
    // Who did not ask for usage gets no usage, neither a chunk nor a field.
    assert!(chunks.iter().all(|chunk| chunk["choices"].as_array().unwrap().len() == 1 && chunk.get("gateway_usage").is_none()));
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none_or(Value::is_null)));
    assert_eq!(app.sim.requests().last().unwrap().body["stream_options"], json!({"include_usage": true}));
}

#[actix_web::test]
async fn include_usage_is_served_as_the_specification_says() {
    let app = support::app().await;
    let user = app.register_user().await;
    for words in ["fast", "openrouter-usage", "no-usage", "crlf", "multi-line", "usage-twice"] {
        behave(&app, words);
        let events = stream(&app, &user, json!({"stream_options": {"include_usage": true}})).await;
        assert!(events.is_done(), "{words}: {:?}", events.data);
        let mut chunks = events.chunks();
        let last = chunks.pop().unwrap();
        assert_eq!((&last["choices"], &last["object"]), (&json!([]), &json!("chat.completion.chunk")), "{words}");
        assert!(last["usage"]["completion_tokens"].as_i64().unwrap() >= TOKENS, "{words}: {last}");
        assert!(last["gateway_usage"]["cost_usd"].as_f64().unwrap() > 0.0, "{words}");
        assert_eq!(last["id"], chunks[0]["id"], "{words}");
        for chunk in &chunks {
            assert_eq!(chunk.as_object().unwrap().get("usage"), Some(&Value::Null), "{words}: {chunk}");
            assert_eq!(chunk["choices"].as_array().unwrap().len(), 1, "{words}");
        }
    }
}

#[actix_web::test]
async fn every_legal_oddity_of_a_provider_is_a_whole_stream() {
    let app = support::app().await;
    let user = app.register_user().await;
    for (word, _) in Behaviour::oddities() {
        behave(&app, word);
        let before = settled(&app, &user).await;
        let events = stream(&app, &user, json!({})).await;
        assert!(events.is_whole && events.is_done(), "{word}: {:?}", events.data.last());
        assert!(!events.content.is_empty(), "{word}");
        let after = settled(&app, &user).await;
        assert_eq!(after.records, before.records + 1, "{word}");
        assert!(after.charged > before.charged, "{word}");
        if word == "events-after-done" {
            assert_eq!(events.content, "tok1 tok2 tok3 tok4 tok5");
        }
    }
}

#[actix_web::test]
async fn a_silent_provider_costs_the_client_pings_not_patience() {
    let app = support::app().await;
    let user = app.register_user().await;
    behave(&app, "token-delay:2000;tokens:1");
    let mut response = request(&app, &user, json!({"stream": true})).send().await.unwrap();
    let mut text = String::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.matches(": ping\n\n").count() >= 2, "{text}");
    assert!(Events::parse(&text.replace(": ping\n\n", ""), true).is_done());
}

#[actix_web::test]
async fn two_hundred_streams_at_once_leave_nothing_behind() {
    let app = support::app().await;
    let user = app.register_user().await;
    behave(&app, "token-delay:10");
    let all = futures_util::future::join_all((0..200).map(|_| stream(&app, &user, json!({})))).await;
    assert!(all.iter().all(|events| events.is_done() && events.content == "tok1 tok2 tok3 tok4 tok5"));
    assert_eq!(settled(&app, &user).await, Money { charged: 200 * COST_NANOS, records: 200, open_holds: 0, held: 0 });
    eventually("the provider is idle", async || (app.sim.stats().open == 0).then_some(())).await;
}
