//! `DELETE /v1/chat/sessions/{session_id}`.

use super::*;
use crate::support;

#[actix_web::test]
async fn a_deleted_session_is_gone_from_every_door_and_stays_in_the_table() {
    let app = support::app().await;
    let user = app.register_user().await;
    let (kept, id) = (session(&app, &user, "kept walrus").await, session(&app, &user, "gone walrus").await);
    say(&app, &user, id, json!({"role": "user", "content": "hello", "tokens": 5})).await;
    let deleted = ok(&delete(&app, &user, &path_of(id)).await);
    assert_eq!(deleted, json!({"success": true, "message": "Chat session deleted successfully"}));
    let messages = format!("{}/messages", path_of(id));
    for reply in [
        app.get_as(&user.key, &path_of(id)).await,
        put(&app, &user, &path_of(id), json!({"title": "x"})).await,
        put(&app, &user, &path_of(id), json!({})).await,
        delete(&app, &user, &path_of(id)).await,
        app.post_as(&user.key, &messages, json!({"role": "user", "content": "x"})).await,
    ] {
        assert_eq!((reply.status, &reply.json()["detail"]), (404, &json!("Chat session not found")), "{reply:?}");
    }
    let list = get(&app, &user, SESSIONS).await;
    assert_eq!((&list["count"], &list["data"][0]["id"]), (&json!(1), &json!(kept)));
    let found = ok(&app.post_as(&user.key, "/v1/chat/search", json!({"query": "walrus"})).await);
    assert_eq!((&found["count"], &found["data"][0]["id"]), (&json!(1), &json!(kept)));
    // Mutant: a `delete` that leaves `chat_totals` alone turns this red.
    let stats = get(&app, &user, "/v1/chat/stats").await;
    assert_eq!((&stats["data"]["total_sessions"], &stats["data"]["total_messages"]), (&json!(1), &json!(0)));
    assert_eq!(app.database.number("SELECT count(*) FROM chat_sessions WHERE NOT is_active").await, 1);
    let details = json!({"session_id": id, "model": null, "app": "Chat", "provider": "Chat History"});
    assert_eq!(logged(&app, &user, "session_deleted", 1).await, [details]);
}
