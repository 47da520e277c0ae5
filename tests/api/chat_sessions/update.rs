//! `PUT /v1/chat/sessions/{session_id}`.

use super::*;
use crate::support;

#[actix_web::test]
async fn what_is_given_is_changed_and_what_is_empty_stays() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "before").await;
    say(&app, &user, id, json!({"role": "user", "content": "hello"})).await;
    let mut changed = ok(&put(&app, &user, &path_of(id), json!({"title": "after", "model": ""})).await);
    let (created, updated) =
        (take_time(&app, &mut changed["data"]["created_at"]), take_time(&app, &mut changed["data"]["updated_at"]));
    assert!(created < updated);
    assert_eq!(changed["data"]["messages"].take()[0]["content"], "hello");
    let expected = json!({
        "success": true, "message": "Chat session updated successfully", "has_more": false, "next_before": null,
        "data": {"id": id, "user_id": user.id, "title": "after", "model": "openai/gpt-4o-mini", "created_at": null,
            "updated_at": null, "is_active": true, "messages": null},
    });
    assert_eq!(changed, expected);
    let again = ok(&put(&app, &user, &path_of(id), json!({"title": null, "model": "other/model"})).await);
    assert_eq!((&again["data"]["title"], &again["data"]["model"]), (&json!("after"), &json!("other/model")));
    let same = ok(&put(&app, &user, &path_of(id), json!({})).await);
    assert_eq!(same["data"], again["data"], "without a wish not even the time changes");
    let refused = put(&app, &user, &path_of(id), json!({"title": "x".repeat(256)})).await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("title")));
    let details = logged(&app, &user, "session_updated", 3).await;
    let event = |model: &str, changed: Value| json!({"session_id": id, "model": model, "app": "Chat", "provider": "Chat History", "changed": changed});
    let (mini, other) = ("openai/gpt-4o-mini", "other/model");
    assert_eq!(details, [event(mini, json!(["title"])), event(other, json!(["model"])), event(other, json!([]))]);
}
