//! The keys of web sessions.

use super::*;
use std::time::Duration;

/// The keys that lists show with `include_sessions=true`, newest first.
async fn sessions(world: &PrivyApp, key: &str) -> Vec<Value> {
    let all = world.app.get_as(key, "/user/api-keys?include_sessions=true").await.json();
    all["keys"].as_array().unwrap().iter().filter(|key| key["is_session"] == true).cloned().collect()
}

#[actix_web::test]
async fn five_sessions_are_alive_and_the_oldest_goes_at_once() {
    let world = PrivyApp::start(&[]).await;
    let primary = world.signed_in(ADA, "ada@example.org").await["api_key"].as_str().unwrap().to_owned();
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(world.signed_in(ADA, "ada@example.org").await["api_key"].as_str().unwrap().to_owned());
    }
    for key in &keys {
        assert_eq!(world.app.get_as(key, "/user/balance").await.status, 200);
    }
    keys.push(world.signed_in(ADA, "ada@example.org").await["api_key"].as_str().unwrap().to_owned());
    let gone = world.app.get_as(&keys[0], "/user/balance").await;
    assert_eq!((gone.status, gone.json()), (401, json!({"detail": "Invalid API key"})));
    for key in &keys[1..] {
        assert_eq!(world.app.get_as(key, "/user/balance").await.status, 200);
    }
    assert_eq!(sessions(&world, &primary).await.len(), 5);
    assert_eq!(world.app.get_as(&primary, "/user/balance").await.status, 200);
    let audited = "SELECT count(*) FROM api_key_audit_logs WHERE action = ";
    assert_eq!(world.app.database.number(&format!("{audited}'delete'")).await, 1);
    assert_eq!(world.app.database.number(&format!("{audited}'create' AND (details->>'is_session')::bool")).await, 6);
}

#[actix_web::test]
async fn sessions_whose_time_is_over_take_no_place() {
    let world = PrivyApp::start(&[]).await;
    let primary = world.signed_in(ADA, "ada@example.org").await["api_key"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        world.signed_in(ADA, "ada@example.org").await;
    }
    world.app.clock.advance(Duration::from_secs(31 * 86_400));
    world.signed_in(ADA, "ada@example.org").await;
    assert_eq!(sessions(&world, &primary).await.len(), 1);
}

#[actix_web::test]
async fn lists_and_counts_leave_sessions_out_unless_they_are_asked_for() {
    let world = PrivyApp::start(&[]).await;
    let primary = world.signed_in(ADA, "ada@example.org").await["api_key"].as_str().unwrap().to_owned();
    let session = world.signed_in(ADA, "ada@example.org").await["api_key"].as_str().unwrap().to_owned();
    for key in [&primary, &session] {
        for (path, count) in [
            ("/user/api-keys", "/total_keys"),
            ("/user/api-keys?include_sessions=false", "/total_keys"),
            ("/user/api-keys/usage", "/total_keys"),
            ("/user/environment-usage", "/environment_usage/live/key_count"),
        ] {
            // Mutant: a list without `is_session = false`.
            assert_eq!(world.app.get_as(key, path).await.json().pointer(count), Some(&json!(1)), "{path}");
        }
    }
    let listed = sessions(&world, &session).await;
    let row = &listed[0];
    assert_eq!(listed.len(), 1);
    for (field, value) in [
        ("key_name", json!("Web session")),
        ("environment_tag", json!("live")),
        ("is_primary", json!(false)),
        ("is_session", json!(true)),
        ("is_active", json!(true)),
        ("max_requests", json!(null)),
        ("days_remaining", json!(29)),
        ("api_key", json!(format!("{}...", &session[..10]))),
        ("scope_permissions", json!({"read": ["*"], "write": ["*"], "admin": ["*"]})),
    ] {
        assert_eq!(row[field], value, "{field}");
    }
    // A key of one's own may have the sessions' name, and a session may be deleted like any key.
    let own = world.app.post_as(&session, "/user/api-keys", json!({"key_name": "Web session"})).await;
    assert_eq!(own.status, 200, "{own:?}");
    let path = format!("/user/api-keys/{}", row["id"]);
    assert_eq!(world.app.delete_as(&primary, &path, json!({"confirmation": "DELETE_KEY"})).await.status, 200);
    assert_eq!(world.app.get_as(&session, "/user/balance").await.status, 401);
    assert_eq!(world.app.get_as(&primary, "/user/api-keys?include_sessions=perhaps").await.status, 422);
}

#[actix_web::test]
async fn a_session_calls_models_like_any_key() {
    let world = PrivyApp::start(&[]).await;
    world.signed_in(ADA, "ada@example.org").await;
    let session = world.signed_in(ADA, "ada@example.org").await["api_key"].as_str().unwrap().to_owned();
    let call = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4});
    let reply: Reply = world.app.post_as(&session, "/v1/chat/completions", call).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let balance = world.app.get_as(&session, "/user/balance").await.json();
    assert!(balance["credits"].as_f64().unwrap() < 10.0);
}
