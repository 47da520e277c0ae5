//! `session_id` in the query of `POST /v1/chat/completions`.

use super::*;
use crate::support::money::credits;
use crate::support::{self, TestDatabase, books};
use std::time::Duration;
use tollgate_sim::provider::Behaviour;

fn call_path(session: i64) -> String {
    format!("/v1/chat/completions?session_id={session}&privy_user_id=did:privy:x")
}

fn question(text: &str) -> Value {
    json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": text}], "max_tokens": 3})
}

async fn ask(app: &TestApp, user: &TestUser, session: i64, text: &str, more: Value) -> Reply {
    let mut body = question(text);
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.post_as(&user.key, &call_path(session), body).await
}

/// What the provider was sent last, as `role: content`.
fn sent(app: &TestApp) -> Vec<String> {
    let body = app.sim.requests().last().expect("a request").body.clone();
    let text = |message: &Value| format!("{}: {}", message["role"].as_str().unwrap(), message["content"].as_str().unwrap());
    body["messages"].as_array().unwrap().iter().map(text).collect()
}

fn behave(app: &TestApp, words: &str) {
    app.sim.set_default(Behaviour::parse(words).expect("a behaviour"));
}

#[actix_web::test]
async fn what_was_said_goes_before_the_question_and_both_sides_are_saved() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    for (number, stream) in [(1, false), (2, true), (3, false)] {
        let answered = ask(&app, &user, id, &format!("question {number}"), json!({"stream": stream})).await;
        assert_eq!(answered.status, 200, "{answered:?}");
        // At once, without waiting: who has the answer finds it in the session.
        assert_eq!(said(&app, &user, id).await.len(), number * 2);
    }
    let pair = |number: i64| [format!("user: question {number}"), "assistant: tok1 tok2 tok3".to_owned()];
    assert_eq!(said(&app, &user, id).await, [pair(1), pair(2), pair(3)].concat());
    assert_eq!(sent(&app), [&pair(1)[..], &pair(2)[..], &["user: question 3".to_owned()]].concat());
    let shown = get(&app, &user, &path_of(id)).await;
    let prompt = app.sim.requests().iter().map(|request| request.body["messages"].as_array().unwrap().len()).collect::<Vec<_>>();
    assert_eq!(prompt, [1, 3, 5]);
    let messages = shown["data"]["messages"].as_array().unwrap();
    assert!(messages.iter().all(|message| message["model"] == "openai/gpt-4o-mini"));
    let tokens: Vec<i64> = messages.iter().map(|message| message["tokens"].as_i64().unwrap()).collect();
    // 10 bytes of question, 14 of each answer, four to a token; three tokens of answer.
    assert_eq!(tokens, [0, 3 + 3, 0, 9 + 3, 0, 15 + 3]);
    assert_eq!(get(&app, &user, "/v1/chat/stats").await["data"]["total_tokens"], 6 + 12 + 18);
    let logged = logged(&app, &user, "chat_completion", 3).await;
    assert!(logged.iter().all(|details| details["session_id"] == id));
    books::assert_clean(&app).await;
}

#[actix_web::test]
async fn the_hold_covers_the_history_and_the_history_is_charged() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    let long = "word ".repeat(8_000);
    say(&app, &user, id, json!({"role": "user", "content": long})).await;
    ask(&app, &user, id, "question", json!({})).await;
    // 40,000 bytes at 150 nano-dollars for each two of them, and a little more.
    let held = app.database.number("SELECT max(asked)::bigint FROM holds").await;
    // Mutant: taking the quote before the history turns this red.
    assert!(held > 20_000 * 150, "{held}");
    let charged = app.database.number("SELECT max(cost)::bigint FROM usage_records").await;
    assert!(charged > 10_000 * 150 && charged <= held, "{charged} of {held}");
    let poor = support::app_with(&[("SIGNUP_CREDITS_USD", "0.002")]).await;
    let user = poor.register_user().await;
    let id = session(&poor, &user, "s").await;
    say(&poor, &user, id, json!({"role": "user", "content": long})).await;
    let refused = ask(&poor, &user, id, "question", json!({})).await;
    assert_eq!((refused.status, credits(&poor, &user).await), (402, 2_000_000), "{refused:?}");
    assert_eq!(said(&poor, &user, id).await.len(), 1);
    assert_eq!(ask(&poor, &user, 999_999, "question", json!({})).await.status, 200);
}

#[actix_web::test]
async fn an_unknown_deleted_or_foreign_session_is_ignored() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    let (foreign, deleted) = (session(&app, &other, "theirs").await, session(&app, &user, "deleted").await);
    say(&app, &other, foreign, json!({"role": "user", "content": "a secret"})).await;
    delete(&app, &user, &path_of(deleted)).await;
    for id in [foreign, deleted, 0, -1, i64::MAX] {
        let answered = ask(&app, &user, id, "question", json!({})).await;
        assert_eq!(answered.status, 200, "{id}: {answered:?}");
        assert_eq!(sent(&app), ["user: question"], "{id}");
    }
    assert_eq!(said(&app, &other, foreign).await, ["user: a secret"]);
    assert_eq!(app.database.number("SELECT count(*) FROM chat_messages").await, 1);
    let refused = app.post_as(&user.key, "/v1/chat/completions?session_id=x", question("q")).await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("session_id")));
}

/// What is charged is kept, what is not leaves nothing.
#[actix_web::test]
async fn a_failed_call_leaves_nothing_and_a_broken_one_what_was_charged() {
    let app = support::app_with(&[("RETRY_ATTEMPTS", "1")]).await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    for (words, stream) in [("status:400", false), ("zero-tokens", false), ("status:400", true), ("zero-tokens", true)] {
        behave(&app, words);
        ask(&app, &user, id, "in vain", json!({"stream": stream})).await;
        assert_eq!(said(&app, &user, id).await, Vec::<String>::new(), "{words} {stream}");
    }
    behave(&app, "cut-after:2;tokens:5");
    let response = app.request(Method::POST, &call_path(id)).bearer_auth(&user.key);
    let mut body = question("broken");
    body["stream"] = json!(true);
    let broken = response.json(&body).send().await.unwrap();
    assert!(broken.bytes().await.is_err(), "the stream is cut");
    let kept = eventually("the broken turn", async || Some(said(&app, &user, id).await).filter(|said| said.len() == 2)).await;
    assert_eq!(kept, ["user: broken", "assistant: tok1 tok2"]);
    behave(&app, "fast");
    assert_eq!(ask(&app, &user, id, "again", json!({})).await.status, 200);
    assert_eq!(sent(&app), ["user: broken", "assistant: tok1 tok2", "user: again"]);
    books::assert_clean(&app).await;
}

#[actix_web::test]
async fn a_client_that_leaves_a_stream_leaves_what_had_come_and_frees_the_session() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    behave(&app, "stall-after:2");
    let mut body = question("left");
    body["stream"] = json!(true);
    let mut left = app.request(Method::POST, &call_path(id)).bearer_auth(&user.key).json(&body).send().await.unwrap();
    let mut seen = String::new();
    while !seen.contains("tok2") {
        seen.push_str(std::str::from_utf8(&left.chunk().await.unwrap().expect("a chunk")).unwrap());
    }
    // One waits behind it, and goes on when it has ended.
    let next = async {
        let answered = ask(&app, &user, id, "next", json!({})).await;
        assert_eq!(answered.status, 200);
    };
    let leave = async {
        tokio::task::yield_now().await;
        drop(left);
    };
    behave(&app, "fast");
    futures_util::join!(next, leave);
    let kept = said(&app, &user, id).await;
    assert_eq!(kept, ["user: left", "assistant: tok1 tok2", "user: next", "assistant: tok1 tok2 tok3"]);
}

#[actix_web::test]
async fn oddities_of_requests_and_answers_are_saved_as_text() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    let parts = json!([{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:,A"}}, {"type": "text", "text": "here"}]);
    let messages = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "first"}, {"role": "user", "content": parts}]);
    let body = json!({"model": "openai/gpt-4o-mini", "messages": messages, "max_tokens": 2, "n": 2});
    ok(&app.post_as(&user.key, &call_path(id), body).await);
    assert_eq!(said(&app, &user, id).await, ["user: look\nhere", "assistant: tok1 tok2"]);
    let nul = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "a\0b"}]);
    behave(&app, "json-instead-of-sse");
    let body = json!({"model": "openai/gpt-4o-mini", "messages": nul, "max_tokens": 2, "stream": true});
    assert_eq!(app.post_as(&user.key, &call_path(id), body).await.status, 200);
    assert_eq!(said(&app, &user, id).await[2..], ["user: ab", "assistant: tok1 tok2"]);
    // Instructions stay first.
    assert_eq!(sent(&app), ["system: be brief", "user: look\nhere", "assistant: tok1 tok2", "user: a\0b"]);
}

/// The model's context is 8,192 tokens: of the history goes what surely fits, the newest first.
#[actix_web::test]
async fn a_history_longer_than_the_models_context_loses_its_beginning() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    for number in 0..40 {
        say(&app, &user, id, json!({"role": "user", "content": format!("question {number} {}", "x".repeat(1_000))})).await;
        say(&app, &user, id, json!({"role": "assistant", "content": format!("answer {number} {}", "y".repeat(1_000))})).await;
    }
    let (model, context) = ("google/gemma-2-9b-it", 8_192);
    let body = json!({"model": model, "messages": [{"role": "user", "content": "now"}], "max_tokens": 100});
    ok(&app.post_as(&user.key, &call_path(id), body).await);
    let sent = app.sim.requests().last().unwrap().body.clone();
    let messages = sent["messages"].as_array().unwrap();
    let bytes = i64::try_from(sent["messages"].to_string().len()).unwrap();
    assert!(bytes / 2 <= context - 100, "{bytes} bytes for {context} tokens");
    assert!(bytes > context && messages.len() > 5, "{bytes} bytes for {context} tokens");
    assert_eq!((&messages[0]["role"], messages.len() % 2), (&json!("user"), 1));
    let last = messages[messages.len() - 2]["content"].as_str().unwrap();
    assert!(last.starts_with("answer 39 "), "{last}");
}

#[actix_web::test]
async fn the_same_idempotency_key_adds_one_turn() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    for _ in 0..3 {
        let request = app.request(Method::POST, &call_path(id)).bearer_auth(&user.key).header("idempotency-key", "k");
        assert_eq!(Reply::of(request.json(&question("once"))).await.status, 200);
    }
    assert_eq!(said(&app, &user, id).await.len(), 2);
}

/// The table of messages is locked while an answer comes: the client has it all the same, the messages follow.
#[actix_web::test]
async fn a_slow_database_delays_the_messages_and_not_the_answer() {
    let app = support::app_on(TestDatabase::create().await, &[]).await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    let lock = app.database.connect().await;
    lock.batch_execute("BEGIN; LOCK TABLE chat_search IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let answered = tokio::time::timeout(Duration::from_secs(5), ask(&app, &user, id, "question", json!({}))).await;
    assert_eq!(answered.expect("an answer in time").status, 200);
    assert_eq!(app.database.number("SELECT count(*) FROM chat_messages").await, 0);
    lock.batch_execute("COMMIT").await.unwrap();
    // The next call waits for them.
    assert_eq!(ask(&app, &user, id, "next", json!({})).await.status, 200);
    assert_eq!(sent(&app), ["user: question", "assistant: tok1 tok2 tok3", "user: next"]);
}
