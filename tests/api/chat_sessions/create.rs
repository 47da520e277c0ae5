//! `POST /v1/chat/sessions`.

use super::*;
use crate::support;

#[actix_web::test]
async fn a_session_is_made_with_its_title_and_model_and_logged() {
    let app = support::app().await;
    let user = app.register_user().await;
    let body = json!({"title": "Trip to Oslo", "model": "openai/gpt-4o"});
    let mut made = ok(&app.post_as(&user.key, &format!("{SESSIONS}?privy_user_id=did:privy:somebody"), body).await);
    let (created, updated) = (take_time(&app, &mut made["data"]["created_at"]), take_time(&app, &mut made["data"]["updated_at"]));
    assert_eq!(created, updated);
    let id = made["data"]["id"].take().as_i64().expect("an id");
    let expected = json!({
        "success": true, "message": "Chat session created successfully",
        "data": {"id": null, "user_id": user.id, "title": "Trip to Oslo", "model": "openai/gpt-4o", "created_at": null,
            "updated_at": null, "is_active": true, "messages": []},
    });
    assert_eq!(made, expected);
    let logged = logged(&app, &user, "session_created", 1).await;
    let details = json!({"session_id": id, "model": "openai/gpt-4o", "app": "Chat", "provider": "Chat History", "action": "create_session"});
    assert_eq!(logged, std::slice::from_ref(&details));
    let log = get(&app, &user, "/user/activity/log?limit=1").await;
    let row = &log["logs"][0];
    let shown = [&row["action"], &row["model"], &row["provider"], &row["app"], &row["finish_reason"], &row["details"]];
    let wanted = [
        json!("session_created"),
        json!("openai/gpt-4o"),
        json!("Chat History"),
        json!("Chat"),
        json!("session_created"),
        details,
    ];
    assert_eq!(shown.map(Clone::clone), wanted);
}

#[actix_web::test]
async fn what_is_not_said_has_the_contracts_defaults() {
    let app = support::app().await;
    let user = app.register_user().await;
    for body in [json!({}), json!({"title": null, "model": null}), json!({"title": " ", "model": ""})] {
        let made = ok(&app.post_as(&user.key, SESSIONS, body).await);
        let created: chrono::DateTime<chrono::Utc> = made["data"]["created_at"].as_str().unwrap().parse().unwrap();
        assert_eq!(made["data"]["title"], created.format("Chat %Y-%m-%d %H:%M").to_string());
        assert_eq!(made["data"]["model"], "openai/gpt-3.5-turbo");
    }
}

#[actix_web::test]
async fn titles_and_models_are_bounded_and_a_title_is_one_line() {
    let app = support::app().await;
    let user = app.register_user().await;
    let longest = "ü".repeat(255);
    for (title, kept) in [
        (longest.as_str(), longest.as_str()),
        ("two\nlines\u{0}", "two lines"),
        ("  '; DROP TABLE users --", "'; DROP TABLE users --"),
    ] {
        let made = ok(&app.post_as(&user.key, SESSIONS, json!({"title": title})).await);
        assert_eq!(made["data"]["title"], kept);
    }
    for (field, value) in
        [("title", json!("ü".repeat(256))), ("title", json!(7)), ("model", json!("m".repeat(101))), ("model", json!(["m"]))]
    {
        let refused = app.post_as(&user.key, SESSIONS, json!({field: value})).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!(field)), "{refused:?}");
        assert_eq!(refused.json()["error"]["type"], "invalid_request_error");
    }
    assert_eq!(get(&app, &user, SESSIONS).await["count"], 3);
}
