//! Calls of one session at the same time: one after the other, each sees those before it, and its two messages stand together.

use super::*;
use crate::support::{self, TestFolder, binary::Served, books, kill};
use std::collections::BTreeSet;
use tollgate_sim::provider::{Behaviour, Provider, ProviderOptions};

const CALLS: usize = 20;

fn question(number: usize) -> Value {
    json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": format!("q{number}")}], "max_tokens": 2,
        "stream": number % 2 == 1})
}

/// Whole, in pairs, and what each call saw is what stands before it.
fn assert_in_turns(said: &[String], seen: &[Value], calls: usize) {
    assert_eq!(said.len(), 2 * calls, "{said:?}");
    let questions: Vec<&str> = said.iter().step_by(2).map(|text| text.strip_prefix("user: ").expect("a question")).collect();
    assert!(said.iter().skip(1).step_by(2).all(|text| text == "assistant: tok1 tok2"), "{said:?}");
    assert_eq!(questions.iter().collect::<BTreeSet<_>>().len(), calls, "each once: {questions:?}");
    assert_eq!(seen.len(), calls);
    for messages in seen {
        let messages = messages.as_array().expect("messages");
        let own = messages.last().expect("a message")["content"].as_str().expect("text");
        let place = questions.iter().position(|question| *question == own).expect("saved");
        let before: Vec<&str> =
            messages.iter().step_by(2).take(place).map(|message| message["content"].as_str().unwrap()).collect();
        // Mutant: a semaphore of two permits in `line.rs` turns this red.
        assert_eq!((messages.len(), before), (2 * place + 1, questions[..place].to_vec()), "what {own} saw");
    }
}

#[actix_web::test]
async fn twenty_calls_at_once_in_one_session_are_twenty_turns() {
    let app = support::app().await;
    let user = app.register_user().await;
    let (id, other) = (session(&app, &user, "s").await, session(&app, &user, "other").await);
    app.sim.set_default(Behaviour::parse("delay:5").unwrap());
    let path = format!("/v1/chat/completions?session_id={id}");
    let call = async |number: usize| {
        let reply = app.post_as(&user.key, &path, question(number)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(number.is_multiple_of(2) || reply.text().ends_with("data: [DONE]\n\n"));
    };
    futures_util::future::join_all((0..CALLS).map(call)).await;
    let seen: Vec<Value> = app.sim.requests().iter().map(|request| request.body["messages"].clone()).collect();
    assert_in_turns(&said(&app, &user, id).await, &seen, CALLS);
    assert_eq!(said(&app, &user, other).await, Vec::<String>::new());
    books::assert_clean(&app).await;
}

#[actix_web::test]
async fn sessions_do_not_wait_for_each_other_and_a_stranger_holds_nobody_up() {
    let app = support::app().await;
    let (user, stranger) = (app.register_user().await, app.register_user().await);
    let (slow, quick) = (session(&app, &user, "slow").await, session(&app, &user, "quick").await);
    app.sim.set_default(Behaviour::parse("silent").unwrap());
    let path = |id: i64| format!("/v1/chat/completions?session_id={id}");
    let key = user.key.clone();
    let hanging = app.request(Method::POST, &path(slow)).bearer_auth(&key).json(&question(0)).send();
    let others = async {
        eventually("the provider is asked", async || (app.sim.stats().open == 1).then_some(())).await;
        app.sim.set_default(Behaviour::parse("fast").unwrap());
        assert_eq!(app.post_as(&user.key, &path(quick), question(2)).await.status, 200);
        // Who is not of the session does not stand in its line.
        assert_eq!(app.post_as(&stranger.key, &path(slow), question(4)).await.status, 200);
    };
    tokio::select! {
        _ = hanging => panic!("the silent provider answered"),
        () = others => {}
    }
    assert_eq!(said(&app, &user, quick).await.len(), 2);
}

/// Sixty-four may wait; more are told to come back.
#[actix_web::test]
async fn a_line_that_is_too_long_is_429_and_costs_nothing() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    app.sim.set_default(Behaviour::parse("delay:300").unwrap());
    let path = format!("/v1/chat/completions?session_id={id}");
    let call = async |number: usize| {
        let reply = app.post_as(&user.key, &path, question(2 * number)).await;
        if number == 0 {
            app.sim.set_default(Behaviour::parse("fast").unwrap());
        }
        reply
    };
    let replies = futures_util::future::join_all((0..80).map(call)).await;
    let served = replies.iter().filter(|reply| reply.status == 200).count();
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status != 200).collect();
    assert!((65..80).contains(&served), "{served} served");
    for reply in refused {
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (429, &json!("session_busy")), "{reply:?}");
        assert!(!reply.header("retry-after").is_empty());
    }
    assert_eq!(said(&app, &user, id).await.len(), 2 * served);
    books::assert_clean(&app).await;
}

/// Two servers on one database take turns with each other as with themselves.
#[actix_web::test]
async fn calls_at_two_replicas_take_turns_too() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    app.sim.set_default(Behaviour::parse("delay:5").unwrap());
    let folder = TestFolder::create();
    let second = Served::start(&app.database, &folder, &app.sim.base_url(), &[]);
    let bases = [app.url(""), format!("http://{}", second.address)];
    let models = format!("{}/v1/models/openai/gpt-4o-mini", bases[1]);
    eventually("the second server has its models", async || {
        app.client.get(&models).send().await.ok().filter(|reply| reply.status() == 200).map(drop)
    })
    .await;
    let call = async |number: usize| {
        let url = format!("{}/v1/chat/completions?session_id={id}", bases[number / 2 % 2]);
        let reply = app.client.post(url).bearer_auth(&user.key).json(&question(number)).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        reply.bytes().await.expect("a whole answer");
    };
    futures_util::future::join_all((0..CALLS).map(call)).await;
    let seen: Vec<Value> = app.sim.requests().iter().map(|request| request.body["messages"].clone()).collect();
    assert_in_turns(&said(&app, &user, id).await, &seen, CALLS);
}

/// Its connection dies with it, and with that its locks.
#[actix_web::test]
async fn a_replica_that_is_killed_in_a_turn_holds_nobody_up() {
    tollgate::install_crypto();
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    let sim = Provider::start(ProviderOptions::default()).await.unwrap();
    let folder = TestFolder::create();
    let doomed = kill::start(&app.database, &folder, &sim, &app.client).await;
    sim.set_default(Behaviour::parse("silent").unwrap());
    let url = format!("http://{}/v1/chat/completions?session_id={id}", doomed.address);
    let hanging = app.client.post(url).bearer_auth(&user.key).json(&question(0)).send();
    let path = format!("/v1/chat/completions?session_id={id}");
    let killer = async {
        eventually("the provider is asked", async || (sim.stats().open == 1).then_some(())).await;
        let waiting = app.post_as(&user.key, &path, question(2));
        let mut waiting = std::pin::pin!(waiting);
        // It is in the other's turn that this one waits.
        assert!(tokio::time::timeout(std::time::Duration::from_millis(300), &mut waiting).await.is_err());
        doomed.signal("KILL");
        waiting.await
    };
    let (hung, answered) = futures_util::join!(hanging, killer);
    assert!(hung.is_err());
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(said(&app, &user, id).await, ["user: q2", "assistant: tok1 tok2"]);
}
