//! Who may not, at every door.

use super::*;
use crate::support;

/// Method, path and body of every door, about that session.
fn doors(session: i64) -> Vec<(Method, String, Value)> {
    let path = path_of(session);
    vec![
        (Method::POST, SESSIONS.to_owned(), json!({"title": "x"})),
        (Method::GET, SESSIONS.to_owned(), Value::Null),
        (Method::GET, path.clone(), Value::Null),
        (Method::PUT, path.clone(), json!({"title": "x"})),
        (Method::PUT, path.clone(), json!({})),
        (Method::POST, format!("{path}/messages"), json!({"role": "user", "content": "x"})),
        (Method::DELETE, path, Value::Null),
        (Method::POST, "/v1/chat/search".to_owned(), json!({"query": "walrus"})),
        (Method::GET, "/v1/chat/stats".to_owned(), Value::Null),
    ]
}

async fn knock(app: &TestApp, key: Option<&str>, (method, path, body): &(Method, String, Value)) -> Reply {
    let request = app.request(method.clone(), path);
    let request = if body.is_null() { request } else { request.json(body) };
    Reply::of(key.into_iter().fold(request, |request, key| request.bearer_auth(key))).await
}

#[actix_web::test]
async fn without_a_valid_key_every_door_is_401_in_openais_envelope() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    for door in doors(id) {
        for (key, message) in [(None, "Not authenticated"), (Some("gw_live_wrong"), "Invalid API key")] {
            let refused = knock(&app, key, &door).await;
            assert_eq!(refused.status, 401, "{door:?}");
            let error = json!({"message": message, "type": "authentication_error", "param": null, "code": "unauthorized"});
            assert_eq!(refused.json(), json!({"error": error, "detail": message}), "{door:?}");
        }
    }
}

#[actix_web::test]
async fn another_users_session_is_404_and_untouched_whatever_the_query_says() {
    let app = support::app().await;
    let (owner, stranger) = (app.register_user().await, app.register_user().await);
    let id = session(&app, &owner, "walrus").await;
    say(&app, &owner, id, json!({"role": "user", "content": "walrus"})).await;
    let before = get(&app, &owner, &path_of(id)).await;
    for (method, path, body) in doors(id) {
        let door = (method, format!("{path}?privy_user_id=did:privy:owner&user_id={}", owner.id), body);
        let reply = knock(&app, Some(&stranger.key), &door).await;
        if door.1.starts_with(&path_of(id)) {
            // Mutant: dropping `user_id` from a WHERE turns this red.
            let error =
                json!({"message": "Chat session not found", "type": "invalid_request_error", "param": null, "code": "not_found"});
            assert_eq!(
                (reply.status, reply.json()),
                (404, json!({"error": error, "detail": "Chat session not found"})),
                "{door:?}"
            );
        } else {
            assert!(reply.status == 200 && !reply.text().contains("walrus"), "{door:?}: {reply:?}");
        }
    }
    assert_eq!(get(&app, &owner, &path_of(id)).await, before);
    for odd in ["0", "-1", "9223372036854775807"] {
        assert_eq!(app.get_as(&owner.key, &format!("{SESSIONS}/{odd}")).await.status, 404, "{odd}");
    }
    for odd in ["x", "1.5", "9223372036854775808", "%00"] {
        assert_eq!(app.get_as(&owner.key, &format!("{SESSIONS}/{odd}")).await.status, 400, "{odd}");
    }
}

#[actix_web::test]
async fn a_key_that_may_only_read_only_reads() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "s").await;
    let scoped = json!({"key_name": "reader", "scope_permissions": {"read": ["sessions"]}});
    let reader = ok(&app.post_as(&user.key, "/user/api-keys", scoped).await)["api_key"].as_str().unwrap().to_owned();
    for door in doors(id) {
        let reads = door.0 == Method::GET || door.1.ends_with("search");
        assert_eq!(knock(&app, Some(&reader), &door).await.status, if reads { 200 } else { 403 }, "{door:?}");
    }
}
