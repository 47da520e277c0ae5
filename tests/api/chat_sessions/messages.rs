//! `POST /v1/chat/sessions/{session_id}/messages`.

use super::*;
use crate::support;
use std::time::Duration;

#[actix_web::test]
async fn a_message_is_saved_shown_and_logged_without_its_text() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    let body = json!({"role": "assistant", "content": "a secret €\n", "model": "openai/gpt-4o", "tokens": 12});
    let mut saved = ok(&app.post_as(&user.key, &format!("{}/messages", path_of(id)), body).await);
    take_time(&app, &mut saved["data"]["created_at"]);
    let message = saved["data"]["id"].take().as_i64().expect("an id");
    let expected = json!({
        "success": true, "message": "Message saved successfully",
        "data": {"id": null, "session_id": id, "role": "assistant", "content": "a secret €\n", "model": "openai/gpt-4o", "tokens": 12,
            "created_at": null},
    });
    assert_eq!(saved, expected);
    let details = json!({"session_id": id, "model": "openai/gpt-4o", "app": "Chat", "provider": "Chat History",
        "message_id": message, "role": "assistant", "tokens_used": 12});
    assert_eq!(logged(&app, &user, "message_sent", 1).await, [details]);
    assert_eq!(app.database.number("SELECT count(*) FROM activity WHERE details::text LIKE '%secret%'").await, 0);
    let shown = get(&app, &user, "/user/activity/log?limit=1").await;
    assert_eq!((&shown["logs"][0]["action"], &shown["logs"][0]["tokens"]), (&json!("message_sent"), &json!(12)));
    assert_eq!(get(&app, &user, "/user/activity/stats").await["total_requests"], 0);
}

#[actix_web::test]
async fn an_empty_model_is_null_and_tokens_are_nought() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    for body in [
        json!({"role": "user", "content": "hi", "model": ""}),
        json!({"role": "user", "content": "hi", "model": null, "tokens": null, "created_at": null}),
        json!({"role": "user", "content": ""}),
    ] {
        let saved = say(&app, &user, id, body).await;
        assert_eq!((&saved["model"], &saved["tokens"]), (&Value::Null, &json!(0)));
    }
}

#[actix_web::test]
async fn a_time_that_is_given_is_kept_and_decides_the_order() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    say(&app, &user, id, json!({"role": "user", "content": "now"})).await;
    let early = json!({"role": "user", "content": "early", "created_at": "2025-01-09T13:34:56.5+01:00"});
    assert_eq!(say(&app, &user, id, early).await["created_at"], "2025-01-09T12:34:56.500Z");
    let naive = json!({"role": "assistant", "content": "later", "created_at": "2025-01-09T12:34:57"});
    assert_eq!(say(&app, &user, id, naive).await["created_at"], "2025-01-09T12:34:57Z");
    let ahead = tollgate_actors::ports::Clock::now(&*app.clock) + chrono::TimeDelta::hours(14);
    let mut saved = say(&app, &user, id, json!({"role": "user", "content": "ahead", "created_at": ahead.to_rfc3339()})).await;
    take_time(&app, &mut saved["created_at"]);
    assert_eq!(said(&app, &user, id).await, ["user: early", "assistant: later", "user: now", "user: ahead"]);
    // A message from the past does not make the session older.
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(get(&app, &user, SESSIONS).await["data"][0]["id"], id);
}

#[actix_web::test]
async fn a_wrong_message_is_refused_and_nothing_is_saved() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    let path = format!("{}/messages", path_of(id));
    for (body, param) in [
        (json!({"content": "x"}), json!("role")),
        (json!({"role": "user"}), json!("content")),
        (json!({"role": "system", "content": "x"}), json!("role")),
        (json!({"role": "user", "content": ["x"]}), json!("content")),
        (json!({"role": "user", "content": "a\0b"}), json!("content")),
        (json!({"role": "user", "content": "x".repeat((1 << 20) + 1)}), json!("content")),
        (json!({"role": "user", "content": "x", "model": "m".repeat(101)}), json!("model")),
        (json!({"role": "user", "content": "x", "tokens": -1}), json!("tokens")),
        (json!({"role": "user", "content": "x", "tokens": 1_000_000_001}), json!("tokens")),
        (json!({"role": "user", "content": "x", "tokens": 1.5}), json!("tokens")),
        (json!({"role": "user", "content": "x", "created_at": "yesterday"}), json!("created_at")),
        (json!({"role": "user", "content": "x", "created_at": "1999-12-31T00:00:00Z"}), json!("created_at")),
        (json!({"role": "user", "content": "x", "created_at": "2999-01-01T00:00:00Z"}), json!("created_at")),
    ] {
        let refused = app.post_as(&user.key, &path, body).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &param), "{refused:?}");
    }
    assert_eq!(said(&app, &user, id).await, Vec::<String>::new());
    let longest = say(&app, &user, id, json!({"role": "user", "content": "é".repeat(1 << 19)})).await;
    assert_eq!(longest["content"].as_str().unwrap().len(), 1 << 20);
}
