//! `GET /v1/chat/stats`.

use super::*;
use crate::support;

#[actix_web::test]
async fn the_figures_are_of_the_users_sessions_and_stand_there_twice() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    let nothing = json!({"total_sessions": 0, "total_messages": 0, "active_sessions": 0, "total_tokens": 0,
        "average_messages_per_session": 0.0});
    let message = "Chat session statistics retrieved successfully";
    let empty = get(&app, &user, "/v1/chat/stats").await;
    assert_eq!(empty, json!({"success": true, "data": nothing, "stats": nothing, "message": message}));
    let (one, two) = (session(&app, &user, "one").await, session(&app, &user, "two").await);
    session(&app, &user, "three").await;
    let strange = session(&app, &other, "another's").await;
    for (who, id, tokens) in [(&user, one, 3), (&user, one, 4), (&user, two, 0), (&user, two, 10), (&other, strange, 99)] {
        say(&app, who, id, json!({"role": "assistant", "content": "x", "tokens": tokens})).await;
    }
    let figures = json!({"total_sessions": 3, "total_messages": 4, "active_sessions": 3, "total_tokens": 17,
        "average_messages_per_session": 1.33});
    let path = "/v1/chat/stats?privy_user_id=did:privy:other";
    assert_eq!(get(&app, &user, path).await, json!({"success": true, "data": figures, "stats": figures, "message": message}));
}

/// Two sessions of one user, written to by many at once.
#[actix_web::test]
async fn sums_are_exact_however_many_write_at_once() {
    let app = support::app().await;
    let user = app.register_user().await;
    let sessions = [session(&app, &user, "one").await, session(&app, &user, "two").await, session(&app, &user, "gone").await];
    let write = async |number: usize| {
        let path = format!("{}/messages", path_of(sessions[number % 3]));
        if number == 40 {
            delete(&app, &user, &path_of(sessions[2])).await;
        }
        app.post_as(&user.key, &path, json!({"role": "user", "content": "hello", "tokens": 1})).await.status
    };
    futures_util::future::join_all((0..90).map(write)).await;
    let kept = "SELECT count(*) FROM chat_messages m JOIN chat_sessions s ON s.id = m.session_id WHERE s.is_active";
    let messages = app.database.number(kept).await;
    assert_eq!(messages, 60);
    let stats = get(&app, &user, "/v1/chat/stats").await;
    let figures = [&stats["data"]["total_sessions"], &stats["data"]["total_messages"], &stats["data"]["total_tokens"]];
    assert_eq!(figures, [&json!(2), &json!(60), &json!(60)]);
    let wrong = "SELECT count(*) FROM chat_sessions s WHERE message_count <> (SELECT count(*) FROM chat_messages WHERE session_id = s.id)";
    assert_eq!(app.database.number(wrong).await, 0);
}
