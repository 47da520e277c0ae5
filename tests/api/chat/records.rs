//! What is remembered of a call.

use super::*;
use crate::support;
use tollgate_actors::ports::Clock;
use tollgate_domain::UserId;
use tollgate_store::activity::{ActivityRow, forget_batches, insert_batch};
use tollgate_store::{Store, StoreError, StoreOptions};

#[actix_web::test]
async fn a_call_is_a_usage_record_and_a_line_on_the_activity_page() {
    let app = support::app().await;
    let user = app.register_user().await;
    let reply = app.post_as(&user.key, &format!("{PATH}?session_id=12&privy_user_id=did:privy:other"), body(json!({}))).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let client = app.database.connect().await;
    let record = client
        .query_one("SELECT model, gateway, prompt_tokens, completion_tokens, cost, estimated, streamed, finish_reason FROM usage_records", &[])
        .await
        .unwrap();
    assert_eq!((record.get::<_, &str>(0), record.get::<_, &str>(1)), (MODEL, "openrouter"));
    assert_eq!((record.get::<_, i64>(2), record.get::<_, i64>(3), record.get::<_, i64>(4)), (3, TOKENS, COST_NANOS));
    assert_eq!((record.get::<_, bool>(5), record.get::<_, bool>(6), record.get::<_, &str>(7)), (false, false, "stop"));
    let query = "SELECT details::text FROM activity WHERE user_id = $1 AND action = 'chat_completion'";
    let line = eventually("the line", async || client.query_opt(query, &[&user.id]).await.unwrap()).await;
    let details: Value = serde_json::from_str(line.get(0)).unwrap();
    for (name, value) in [
        ("model", json!(MODEL)),
        ("provider", json!("OpenAI")),
        ("tokens_used", json!(8)),
        ("prompt_tokens", json!(3)),
        ("completion_tokens", json!(TOKENS)),
        ("cost", json!(0.000_003_45)),
        ("finish_reason", json!("stop")),
        ("app", json!("API")),
        ("endpoint", json!("/v1/chat/completions")),
        ("stream", json!(false)),
        ("session_id", json!(12)),
    ] {
        assert_eq!(details[name], value, "{name}");
    }
    assert!(details["speed"].is_number());
    assert!(!details.to_string().contains(PROMPT), "no message text is kept");
}

#[actix_web::test]
async fn what_was_recorded_before_a_stop_is_in_the_table_after_it() {
    let app = support::app().await;
    let user = app.register_user().await;
    for _ in 0..20 {
        assert_eq!(ask(&app, &user, json!({})).await.status, 200);
    }
    let (_, database) = app.stop().await;
    assert_eq!(database.number("SELECT count(*) FROM activity WHERE action = 'chat_completion'").await, 20);
}

#[actix_web::test]
async fn a_batch_that_is_repeated_lands_once() {
    let app = support::app().await;
    let store = &app_store(&app);
    let row = |user: i64| ActivityRow {
        user: UserId(user),
        action: "x".into(),
        model: "session".to_owned(),
        provider: "Chat History".into(),
        details: r#"{"n": 1}"#.to_owned(),
        at: app.clock.now(),
        call: None,
    };
    let id = uuid::Uuid::now_v7();
    for _ in 0..2 {
        insert_batch(store, id, app.clock.now(), &[row(1), row(2)]).await.unwrap();
    }
    assert_eq!(app.database.number("SELECT count(*) FROM activity WHERE action = 'x'").await, 2);
    assert_eq!(app.database.number("SELECT sum(entries)::bigint FROM activity_daily").await, 2);
    let bad = ActivityRow { details: r#"{"n": "\u0000"}"#.to_owned(), ..row(3) };
    assert!(matches!(insert_batch(store, uuid::Uuid::now_v7(), app.clock.now(), &[bad]).await, Err(StoreError::Query(_))));
    let later = app.clock.now() + chrono::TimeDelta::days(1);
    assert_eq!(forget_batches(store, later, 10).await.unwrap(), 1);
}

fn app_store(app: &TestApp) -> Store {
    let options = StoreOptions::new(app.database.app_url.clone());
    Store::new(options, tokio::runtime::Handle::current()).unwrap()
}
