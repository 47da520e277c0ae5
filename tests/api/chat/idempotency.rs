//! `Idempotency-Key` (decision 25).

use super::*;
use crate::support;
use std::time::Duration;

async fn keyed(app: &TestApp, user: &TestUser, key: &str, fields: Value) -> Reply {
    Reply::of(request(app, user, fields).header("idempotency-key", key)).await
}

#[actix_web::test]
async fn the_same_request_again_has_the_same_answer_and_one_charge() {
    let app = support::app().await;
    let user = app.register_user().await;
    let first = keyed(&app, &user, "k1", json!({})).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""), "{first:?}");
    let again = keyed(&app, &user, "k1", json!({})).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"), "{again:?}");
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("x-generation-id"), first.header("x-generation-id"));
    let other = app.register_user().await;
    assert_eq!(keyed(&app, &other, "k1", json!({})).await.header("idempotent-replayed"), "", "keys are per user");
    assert_eq!(settled(&app, &user).await.records, 1);
    assert_eq!(app.sim.stats().started, 2);
    // A day later the key is another one.
    app.clock.advance(Duration::from_secs(24 * 3_600 + 1));
    assert_eq!(keyed(&app, &user, "k1", json!({})).await.header("idempotent-replayed"), "");
}

#[actix_web::test]
async fn another_body_under_the_key_is_422_and_a_key_that_is_none_400() {
    let app = support::app().await;
    let user = app.register_user().await;
    assert_eq!(keyed(&app, &user, "k1", json!({})).await.status, 200);
    assert_eq!(keyed(&app, &user, "k1", json!({"max_tokens": 6})).await.status, 422);
    assert_eq!(keyed(&app, &user, &"k".repeat(255), json!({})).await.status, 200);
    for wrong in ["", &"k".repeat(256)] {
        let reply = keyed(&app, &user, wrong, json!({})).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("Idempotency-Key")));
    }
    assert_eq!(settled(&app, &user).await.records, 2);
}

#[actix_web::test]
async fn while_the_first_runs_the_others_are_told_to_wait() {
    let app = support::app().await;
    let user = app.register_user().await;
    behave(&app, "delay:500");
    let replies = futures_util::future::join_all((0..10).map(|_| keyed(&app, &user, "k1", json!({})))).await;
    let served = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(served, 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(reply.status, 409);
        assert_ne!(reply.header("retry-after"), "");
    }
    assert_eq!(settled(&app, &user).await.records, 1);
}

#[actix_web::test]
async fn a_stream_can_not_be_repeated_but_is_named() {
    let app = support::app().await;
    let user = app.register_user().await;
    let first = keyed(&app, &user, "k1", json!({"stream": true})).await;
    assert_eq!(first.status, 200);
    let again = keyed(&app, &user, "k1", json!({"stream": true})).await;
    assert_eq!((again.status, again.header("x-generation-id")), (409, first.header("x-generation-id")), "{again:?}");
    assert!(again.text().contains(first.header("x-generation-id")));
    assert_eq!(settled(&app, &user).await.records, 1);
}

#[actix_web::test]
async fn a_failed_call_frees_its_key() {
    let app = support::app().await;
    let user = app.register_user().await;
    for (words, fields, status) in [
        ("500-html", json!({}), 502),
        ("429", json!({"stream": true}), 429),
        ("zero-tokens", json!({}), 200),
        ("fast", json!({"model": "sim/dime", "max_tokens": 30_000}), 402),
    ] {
        behave(&app, words);
        let key = format!("k-{words}");
        // Only 256 tokens must be affordable: ten dollars pay for that, so the last one is refused by a poorer user.
        let caller = if status == 402 { poor(&app).await } else { user.clone() };
        assert_eq!(keyed(&app, &caller, &key, fields.clone()).await.status, status, "{words}");
        behave(&app, "fast");
        let retried = eventually("the key is free", async || {
            Some(keyed(&app, &caller, &key, fields.clone()).await).filter(|reply| reply.status != 409)
        })
        .await;
        assert_eq!(retried.header("idempotent-replayed"), "", "{words}: {retried:?}");
        assert_eq!(retried.status, if status == 402 { 402 } else { 200 }, "{words}");
    }
}

async fn poor(app: &TestApp) -> TestUser {
    let user = app.register_user().await;
    let spent = "UPDATE accounts SET posted = 100000000 WHERE kind = 'user' AND asset = 'usd' AND user_id = $1";
    app.database.connect().await.execute(spent, &[&user.id]).await.unwrap();
    user
}

#[actix_web::test]
async fn the_key_of_a_crashed_server_is_free_when_its_call_can_not_be_waiting_any_more() {
    let app = support::app_with(&[("HOLD_SECONDS", "60")]).await;
    let user = app.register_user().await;
    let insert = "INSERT INTO idempotency_keys (user_id, key, body_hash, generation_id, streamed, created_at)
                  VALUES ($1, 'k1', sha256($2), gen_random_uuid(), false, now())";
    let sent = serde_json::to_vec(&body(json!({}))).unwrap();
    app.database.connect().await.execute(insert, &[&user.id, &sent]).await.unwrap();
    assert_eq!(keyed(&app, &user, "k1", json!({})).await.status, 409);
    app.clock.advance(Duration::from_secs(61));
    // Two minutes it may wait for its session's turn before it has a hold. Mutant: a patience of the hold's time alone.
    assert_eq!(keyed(&app, &user, "k1", json!({})).await.status, 409);
    app.clock.advance(Duration::from_secs(70));
    let served = keyed(&app, &user, "k1", json!({})).await;
    assert_eq!((served.status, served.header("idempotent-replayed")), (200, ""), "{served:?}");
}

#[actix_web::test]
async fn a_charged_call_whose_answer_was_lost_in_a_crash_is_named_and_not_made_again() {
    let app = support::app_with(&[("HOLD_SECONDS", "60")]).await;
    let user = app.register_user().await;
    let first = keyed(&app, &user, "k1", json!({})).await;
    assert_eq!(first.status, 200);
    app.database.connect().await.execute("UPDATE idempotency_keys SET status = NULL, body = NULL", &[]).await.unwrap();
    assert_ne!(keyed(&app, &user, "k1", json!({})).await.header("retry-after"), "", "it may still run");
    app.clock.advance(Duration::from_secs(131));
    let again = keyed(&app, &user, "k1", json!({})).await;
    assert_eq!((again.status, again.header("x-generation-id")), (409, first.header("x-generation-id")));
    assert_eq!(settled(&app, &user).await.records, 1);
}
