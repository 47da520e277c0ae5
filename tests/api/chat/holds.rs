//! Money before the call: too little, just enough, and the database away.

use super::*;
use crate::support;

/// A user with that many dollars.
async fn user_with(app: &TestApp, credits: &str) -> TestUser {
    let name = format!("poor{}", uuid::Uuid::now_v7().simple());
    let credits: f64 = credits.parse().unwrap();
    let registration = json!({"username": name, "email": format!("{name}@example.com"), "initial_credits": credits});
    let reply = app.post("/auth/register", registration).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = reply.json();
    TestUser { id: body["user_id"].as_i64().unwrap(), key: body["api_key"].as_str().unwrap().to_owned(), username: name }
}

#[actix_web::test]
async fn a_balance_below_the_least_is_402_with_what_is_needed_and_what_is_there() {
    let app = support::app().await;
    // 256 tokens of sim/dime are $0.256.
    let user = user_with(&app, "0.2").await;
    for stream in [false, true] {
        let reply = ask(&app, &user, json!({"model": "sim/dime", "max_tokens": 1_000, "stream": stream})).await;
        assert_eq!(reply.status, 402, "{reply:?}");
        let error = &reply.json()["error"];
        assert_eq!((&error["type"], &error["code"]), (&json!("insufficient_quota"), &json!("insufficient_quota")));
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("Insufficient credits") && message.contains("0.256") && message.contains("0.2"), "{message}");
    }
    assert_eq!(app.sim.stats().started, 0);
}

#[actix_web::test]
async fn a_balance_that_affords_less_lowers_max_tokens_and_says_so() {
    let app = support::app().await;
    let user = user_with(&app, "0.5").await;
    let reply = ask(&app, &user, json!({"model": "sim/dime", "max_tokens": 1_000})).await;
    assert_eq!((reply.status, reply.header("x-max-tokens-lowered")), (200, "500"), "{reply:?}");
    assert_eq!(app.sim.requests().last().unwrap().body["max_tokens"], 500);
    assert_eq!(reply.json()["gateway_usage"]["cost_usd"], json!(0.5));
    assert_eq!(reply.json()["gateway_usage"]["user_balance_after"], json!(0.0));
    let next = ask(&app, &user, json!({"model": "sim/dime", "max_tokens": 1})).await;
    assert_eq!(next.status, 402, "{next:?}");
}

#[actix_web::test]
async fn a_hundred_calls_at_once_never_spend_more_than_there_is() {
    let app = support::app().await;
    let user = user_with(&app, "0.5").await;
    // Each holds and costs $0.1 to the nano-dollar.
    let calls = (0..100).map(|_| ask(&app, &user, json!({"model": "sim/dime", "max_tokens": 100})));
    let replies = futures_util::future::join_all(calls).await;
    let paid = replies.iter().filter(|reply| reply.status == 200).count();
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 402)));
    assert_eq!(paid, 5);
    let balance = app.get_as(&user.key, "/user/balance").await.json();
    assert_eq!((&balance["credits"], &balance["held"], &balance["debt"]), (&json!(0.0), &json!(0.0), &json!(0.0)));
}

#[actix_web::test]
async fn honest_usage_above_the_hold_is_charged_and_becomes_a_debt() {
    let app = support::app().await;
    let user = user_with(&app, "0.3").await;
    behave(&app, "usage:1,500");
    let reply = ask(&app, &user, json!({"model": "sim/dime", "max_tokens": 300})).await;
    assert_eq!(reply.json()["gateway_usage"]["cost_usd"], json!(0.5), "{reply:?}");
    let balance = app.get_as(&user.key, "/user/balance").await.json();
    assert_eq!((&balance["credits"], &balance["debt"]), (&json!(0.0), &json!(0.2)));
}

#[actix_web::test]
async fn with_the_database_away_calls_are_503_before_anything_is_spent() {
    let app = support::app().await;
    let user = app.register_user().await;
    assert_eq!(ask(&app, &user, json!({})).await.status, 200);
    settled(&app, &user).await;
    app.database.refuse_connections().await;
    // What was sent when the connection broke may be committed: such a call is served, and charged when the database is back.
    let mut served = 1;
    while ask(&app, &user, json!({})).await.status == 200 {
        served += 1;
        assert!(served <= 2, "the ledger knows that the database is away");
    }
    let started = app.sim.stats().started;
    let reply = ask(&app, &user, json!({"model": "openai/gpt-4o", "max_tokens": 4_000})).await;
    assert!(reply.status == 503 && !reply.header("retry-after").is_empty(), "{} {}", reply.status, reply.text());
    app.database.accept_connections().await;
    eventually("calls are served again", async || (ask(&app, &user, json!({})).await.status == 200).then_some(())).await;
    assert!(app.sim.stats().started > started);
    assert_eq!(settled(&app, &user).await.charged, (served + 1) * COST_NANOS);
}

#[actix_web::test]
async fn a_key_with_a_cap_makes_that_many_calls_and_failed_ones_do_not_count() {
    let app = support::app().await;
    let user = app.register_user().await;
    let made = app
        .post_as(
            &user.key,
            "/user/api-keys",
            json!({"action": "create", "key_name": "capped", "environment_tag": "live", "max_requests": 2}),
        )
        .await;
    assert_eq!(made.status, 200, "{made:?}");
    let capped = TestUser { key: made.json()["api_key"].as_str().unwrap().to_owned(), ..user.clone() };
    behave(&app, "500-html");
    assert_eq!(ask(&app, &capped, json!({})).await.status, 502);
    behave(&app, "fast");
    for _ in 0..2 {
        eventually("a given-back request", async || (ask(&app, &capped, json!({})).await.status == 200).then_some(())).await;
    }
    assert_eq!(ask(&app, &capped, json!({})).await.status, 429);
    assert_eq!(settled(&app, &user).await.records, 2);
}

/// Keeps the ledger from writing to that user's accounts until it is dropped or rolled back.
async fn hold_up(app: &TestApp, user: &TestUser) -> tokio_postgres::Client {
    let client = app.database.connect().await;
    client.batch_execute("BEGIN").await.unwrap();
    client.execute("SELECT 1 FROM accounts WHERE user_id = $1 FOR UPDATE", &[&user.id]).await.unwrap();
    client
}

#[actix_web::test]
async fn nothing_reaches_the_client_before_the_hold_is_durable_but_the_provider_is_asked() {
    let app = support::app().await;
    let user = app.register_user().await;
    assert_eq!(ask(&app, &user, json!({})).await.status, 200);
    settled(&app, &user).await;
    for stream in [false, true] {
        let finished = app.sim.stats().finished;
        let lock = hold_up(&app, &user).await;
        let mut answering = std::pin::pin!(request(&app, &user, json!({"stream": stream})).send());
        let asked = async {
            eventually("the provider has answered", async || (app.sim.stats().finished > finished).then_some(())).await;
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        };
        tokio::select! {
            answer = &mut answering => panic!("an answer before the hold: {answer:?}"),
            () = asked => {}
        }
        lock.batch_execute("ROLLBACK").await.unwrap();
        let answer = answering.await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.text().await.unwrap().contains("tok5"));
    }
    assert_eq!(settled(&app, &user).await.records, 3);
}

#[actix_web::test]
async fn a_hold_that_is_refused_after_all_aborts_the_call() {
    let app = support::app().await;
    let user = app.register_user().await;
    assert_eq!(ask(&app, &user, json!({})).await.status, 200);
    settled(&app, &user).await;
    behave(&app, "delay:3000");
    let client = app.database.connect().await;
    let spend = "UPDATE accounts SET posted = $2 WHERE kind = 'user' AND asset = 'usd' AND user_id = $1";
    // The server still believes in ten dollars.
    client.execute(spend, &[&user.id, &10_i64]).await.unwrap();
    let reply = ask(&app, &user, json!({})).await;
    assert_eq!(reply.status, 402, "{reply:?}");
    eventually("the provider's client is gone", async || (app.sim.stats().open == 0).then_some(())).await;
    assert_eq!(app.database.number("SELECT count(*) FROM usage_records").await, 1);
    assert_eq!(app.database.number("SELECT count(*) FROM holds WHERE state = 0").await, 0);
}
