//! Every change of a key leaves its row, in the change's own transaction and without a secret (promise K4).

use super::update::{put, updated};
use super::{create, text};
use crate::support::{self, TestApp, TestUser};
use serde_json::{Value, json};

/// The user's rows, oldest first: the key, the action, the details.
async fn rows(app: &TestApp, user: &TestUser) -> Vec<(Value, String, Value)> {
    let query =
        "SELECT json_build_array(api_key_id, action, details)::text FROM api_key_audit_logs WHERE user_id = $1 ORDER BY id";
    let rows = app.database.connect().await.query(query, &[&user.id]).await.unwrap();
    let row = |text: &str| serde_json::from_str::<(Value, String, Value)>(text).unwrap();
    rows.iter().map(|found| row(found.get(0))).collect()
}

#[actix_web::test]
async fn each_change_is_told_with_what_was_and_what_is() {
    let app = support::app().await;
    let user = app.register_user().await;
    let mut secrets = vec![user.key.clone()];
    let fields = json!({"key_name": "ci", "environment_tag": "test", "max_requests": 9, "allowed_models": ["openai/*"],
        "budget_usd": 2, "budget_period": "daily", "ip_allowlist": ["127.0.0.1"]});
    let made = create(&app, &user.key, fields).await;
    let id = made["id"].clone();
    secrets.push(text(&made["api_key"]).to_owned());
    updated(&app, &user.key, &id, json!({"max_requests": 5, "budget_usd": 3, "ip_allowlist": ["127.0.0.1"]})).await;
    updated(&app, &user.key, &id, json!({"budget_usd": null, "is_active": false})).await;
    let rotated = updated(&app, &user.key, &id, json!({"action": "rotate", "key_name": "ci2", "is_active": true})).await;
    secrets.push(text(&rotated["api_key"]).to_owned());
    let again = updated(&app, &user.key, &id, json!({"action": "rotate", "grace_hours": 0})).await;
    secrets.push(text(&again["api_key"]).to_owned());
    let all = put(&app, &user.key, &id, json!({"action": "bulk_rotate", "environment_tag": "test"})).await.json();
    secrets.push(text(&all["new_keys"][0]["new_api_key"]).to_owned());
    assert_eq!(app.delete_as(&user.key, &format!("/user/api-keys/{id}"), json!({})).await.status, 200);

    let rows = rows(&app, &user).await;
    assert!(rows[1..].iter().all(|(key, ..)| *key == id), "{rows:?}");
    let actions: Vec<&str> = rows.iter().map(|(_, action, _)| action.as_str()).collect();
    assert_eq!(actions, ["create", "create", "update", "update", "update", "rotate", "rotate", "rotate", "delete"]);
    let details = |row: usize| rows[row].2.clone();
    let scopes = json!({"read": ["*"], "write": ["*"], "admin": ["*"]});
    let created = json!({"key_name": "ci", "environment_tag": "test", "scope_permissions": scopes, "expiration_days": null,
        "max_requests": 9, "ip_allowlist": ["127.0.0.1"], "domain_referrers": [], "allowed_models": ["openai/*"], "budget_usd": 2.0,
        "budget_period": "daily", "is_primary": false, "is_session": false});
    assert_eq!(details(1), created);
    let update = |row: usize, old: Value, new: Value| {
        let mut details = details(row);
        assert!(text(&details["update_timestamp"].take()).ends_with('Z'));
        let fields: Vec<&String> = new.as_object().unwrap().keys().collect();
        assert_eq!(details, json!({"updated_fields": fields, "old_values": old, "new_values": new, "update_timestamp": null}));
    };
    update(2, json!({"max_requests": 9, "budget_usd": 2.0}), json!({"max_requests": 5, "budget_usd": 3.0}));
    let before = json!({"is_active": true, "budget_usd": 3.0, "budget_period": "daily"});
    update(3, before, json!({"is_active": false, "budget_usd": null, "budget_period": null}));
    update(4, json!({"key_name": "ci", "is_active": false}), json!({"key_name": "ci2", "is_active": true}));
    let rotation = |row: usize, names: [&str; 2], ends_at: Value| {
        let mut details = details(row);
        assert!(text(&details["rotated_at"].take()).ends_with('Z'));
        let expected =
            json!({"old_key_name": names[0], "new_key_name": names[1], "rotated_at": null, "previous_key_expires_at": ends_at});
        assert_eq!(details["previous_key_expires_at"].is_string(), ends_at.is_string());
        details["previous_key_expires_at"] = ends_at;
        assert_eq!(details, expected);
    };
    rotation(5, ["ci", "ci2"], json!("a day later"));
    rotation(6, ["ci2", "ci2"], Value::Null);
    rotation(7, ["ci2", "ci2"], json!("a day later"));
    assert_eq!((&details(8)["key_name"], &details(8)["environment_tag"]), (&json!("ci2"), &json!("test")));
    let told = serde_json::to_string(&rows).unwrap();
    assert!(secrets.iter().all(|secret| !told.contains(&secret[12..])), "a secret is in the audit");
}

#[actix_web::test]
async fn a_change_that_is_refused_leaves_no_row() {
    let app = support::app().await;
    let user = app.register_user().await;
    let made = create(&app, &user.key, json!({"key_name": "ci"})).await;
    let before = rows(&app, &user).await.len();
    for body in [
        json!({"key_name": "Primary Key", "is_active": false}),
        json!({"action": "rotate", "key_name": "Primary Key"}),
        json!({"action": "rotate", "is_active": false}),
        json!({"action": "rotate", "budget_period": "daily"}),
    ] {
        assert_eq!(put(&app, &user.key, &made["id"], body.clone()).await.status, 400, "{body}");
    }
    assert_eq!(rows(&app, &user).await.len(), before);
    assert_eq!(app.get_as(text(&made["api_key"]), "/user/balance").await.status, 200);
}
