//! What is remembered of a call.

use super::*;
use crate::support;

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
    assert_eq!((record.get::<_, bool>(5), record.get::<_, bool>(6), record.get::<_, &str>(7)), (false, false, "length"));
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
        ("finish_reason", json!("length")),
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
