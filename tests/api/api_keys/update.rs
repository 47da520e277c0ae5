//! `PUT /user/api-keys/{key_id}` with `update`, field by field.

use super::{create, text};
use crate::support::{self, Reply, TestApp, TestUser, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub async fn put(app: &TestApp, key: &str, id: impl std::fmt::Display, body: Value) -> Reply {
    Reply::of(app.request(Method::PUT, &format!("/user/api-keys/{id}")).bearer_auth(key).json(&body)).await
}

/// The changed key as it is answered.
pub async fn updated(app: &TestApp, key: &str, id: &Value, body: Value) -> Value {
    let reply = put(app, key, id, body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["updated_key"].take()
}

/// A user, and a key of theirs beside the primary one.
pub async fn with_key(app: &TestApp, fields: Value) -> (TestUser, Value, String) {
    let user = app.register_user().await;
    let mut body = json!({"key_name": "ci"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let made = create(app, &user.key, body).await;
    (user, made["id"].clone(), text(&made["api_key"]).to_owned())
}

#[actix_web::test]
async fn an_update_answers_the_whole_key_as_it_is_now() {
    let app = support::app().await;
    let (user, id, secret) = with_key(&app, json!({})).await;
    let body = json!({
        "action": "update", "key_name": " deploy ", "scope_permissions": {"read": ["*"], "write": ["chat"]}, "expiration_days": 30,
        "max_requests": 99_999_999, "ip_allowlist": ["10.0.0.0/8", "::ffff:192.0.2.1", "2001:db8::/32"],
        "domain_referrers": ["*.example.org"], "allowed_models": ["openai/*"], "budget_usd": 12.25, "budget_period": "weekly",
        "is_active": false,
    });
    let mut answer = put(&app, &user.key, &id, body).await.json();
    assert!(text(&answer["timestamp"].take()).ends_with('Z'));
    let key = &mut answer["updated_key"];
    for time in ["expiration_date", "created_at", "updated_at"] {
        assert!(text(&key[time].take()).ends_with('Z'), "{time}");
    }
    for time in ["starts_at", "resets_at"] {
        assert!(text(&key["budget"][time].take()).ends_with('Z'), "{time}");
    }
    assert!([29, 30].contains(&key["days_remaining"].take().as_i64().unwrap()));
    let expected = json!({
        "status": "success", "message": "API key updated successfully with enhanced security features",
        "updated_key": {
            "id": id, "api_key": format!("{}...", &secret[..10]), "last4": secret[secret.len() - 4..], "key_name": "deploy",
            "environment_tag": "live", "scope_permissions": {"read": ["*"], "write": ["chat"]}, "is_active": false,
            "is_primary": false, "is_session": false, "expiration_date": null, "days_remaining": null, "max_requests": 10_000, "requests_used": 0,
            "requests_remaining": 10_000, "usage_percentage": 0.0,
            "ip_allowlist": ["10.0.0.0/8", "::ffff:192.0.2.1", "2001:db8::/32"], "domain_referrers": ["*.example.org"],
            "allowed_models": ["openai/*"],
            "budget": {"limit_usd": 12.25, "period": "weekly", "spent_usd": 0.0, "held_usd": 0.0, "remaining_usd": 12.25,
                "starts_at": null, "resets_at": null},
            "rotation": null, "created_at": null, "updated_at": null, "last_used_at": null,
            "security_status": {"has_ip_restrictions": true, "has_domain_restrictions": true, "has_expiration": true,
                "has_usage_limits": true, "has_model_restrictions": true, "has_budget": true, "last_used_tracking": true,
                "audit_logging": true, "phase4_enhanced": true},
        },
        "timestamp": null,
    });
    assert_eq!(answer, expected);
    let listed = app.get_as(&user.key, "/user/api-keys").await.json()["keys"][0].take();
    assert_eq!((&listed["key_name"], &listed["budget"]["limit_usd"]), (&json!("deploy"), &json!(12.25)));
    assert_eq!(app.get_as(&secret, "/user/balance").await.json(), json!({"detail": "API key is inactive"}));
}

#[actix_web::test]
async fn what_is_absent_stays_and_null_clears_what_can_be_without() {
    let app = support::app().await;
    let all = json!({"expiration_days": 5, "max_requests": 7, "budget_usd": 3, "ip_allowlist": ["127.0.0.1"],
        "domain_referrers": ["example.org"], "allowed_models": ["openai/gpt-4o"]});
    let (user, id, _) = with_key(&app, all).await;
    let before = app.get_as(&user.key, "/user/api-keys").await.json()["keys"][0].take();
    let mut after = updated(&app, &user.key, &id, json!({"key_name": "other"})).await;
    assert_eq!(after["key_name"].take(), "other");
    for (field, value) in before.as_object().unwrap() {
        assert!(after[field] == *value || ["key_name", "updated_at"].contains(&field.as_str()), "{field}: {}", after[field]);
    }
    let nulls = json!({"expiration_days": null, "max_requests": null, "budget_usd": null, "key_name": null, "is_active": null,
        "scope_permissions": null, "ip_allowlist": null, "domain_referrers": null, "allowed_models": null, "budget_period": null});
    let after = updated(&app, &user.key, &id, nulls).await;
    for field in ["expiration_date", "days_remaining", "max_requests", "requests_remaining", "usage_percentage", "budget"] {
        assert_eq!(after[field], Value::Null, "{field}");
    }
    for field in ["ip_allowlist", "domain_referrers", "allowed_models", "scope_permissions", "is_active"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(after["key_name"], "other");
    let after = updated(&app, &user.key, &id, json!({"ip_allowlist": [""], "domain_referrers": [], "allowed_models": []})).await;
    for field in ["ip_allowlist", "domain_referrers", "allowed_models"] {
        assert_eq!(after[field], json!([]), "{field}");
    }
}

#[actix_web::test]
async fn broken_rules_are_400_and_change_nothing() {
    let app = support::app().await;
    let (user, id, secret) = with_key(&app, json!({})).await;
    let before = app.get_as(&user.key, "/user/api-keys").await.json();
    let cases = [
        (json!({}), "No valid fields to update"),
        (json!({"action": "update", "environment_tag": "test"}), "No valid fields to update"),
        (json!({"key_name": null}), "No valid fields to update"),
        (json!({"action": "destroy"}), "Invalid action. Must be one of: ['update', 'rotate', 'bulk_rotate']"),
        (json!({"key_name": "x", "expiration_days": 0}), "Expiration days must be positive"),
        (json!({"key_name": "x", "max_requests": -1}), "Max requests must be positive"),
        (json!({"key_name": "x", "ip_allowlist": ["10.0.0.0/33"]}), "Invalid IP address or network: 10.0.0.0/33"),
        (json!({"key_name": "x", "domain_referrers": ["a b"]}), "Invalid domain: a b"),
        (json!({"key_name": "x", "allowed_models": ["a\nb"]}), "Invalid model: a\\nb"),
        (json!({"key_name": "x", "budget_usd": 0}), "Budget must be positive"),
        (json!({"key_name": "x", "budget_period": "daily"}), "The key has no budget: give budget_usd"),
        (json!({"key_name": "x", "budget_usd": null, "budget_period": "daily"}), "A budget that is removed has no budget_period"),
        (json!({"key_name": "x", "grace_hours": -1}), "Grace hours must be from 0 to 720"),
        (json!({"action": "rotate", "grace_hours": 721}), "Grace hours must be from 0 to 720"),
        (json!({"action": "bulk_rotate", "grace_hours": 9_000_000_000_000_000_i64}), "Grace hours must be from 0 to 720"),
        (
            json!({"action": "bulk_rotate", "environment_tag": "prod"}),
            "Invalid environment tag. Must be one of: ['test', 'staging', 'live', 'development']",
        ),
        (
            json!({"is_active": false, "key_name": "Primary Key"}),
            "Key name 'Primary Key' already exists for this user. Please choose a different name.",
        ),
    ];
    for (body, detail) in cases {
        let reply = put(&app, &user.key, &id, body.clone()).await;
        assert_eq!((reply.status, reply.json()), (400, json!({"detail": detail})), "{body}");
    }
    for body in [
        json!({"max_requests": "5"}),
        json!({"key_name": ""}),
        json!({"is_active": "no"}),
        json!({"grace_hours": 1.5}),
        json!([]),
    ] {
        assert_eq!(put(&app, &user.key, &id, body.clone()).await.status, 422, "{body}");
    }
    assert_eq!(app.get_as(&user.key, "/user/api-keys").await.json(), before);
    assert_eq!(app.get_as(&secret, "/user/balance").await.status, 200);
    assert_eq!(app.database.number("SELECT count(*) FROM api_key_audit_logs WHERE action <> 'create'").await, 0);
}

#[actix_web::test]
async fn a_cap_may_be_lowered_to_what_is_used_and_no_further() {
    let app = support::app().await;
    let (user, id, _) = with_key(&app, json!({"max_requests": 9})).await;
    app.database.connect().await.execute("UPDATE api_keys SET requests_used = 4 WHERE max_requests = 9", &[]).await.unwrap();
    let refused = put(&app, &user.key, &id, json!({"max_requests": 3})).await;
    let detail = "Max requests must not be below the requests that the key has made";
    assert_eq!((refused.status, refused.json()), (400, json!({"detail": detail})));
    let key = updated(&app, &user.key, &id, json!({"max_requests": 4})).await;
    assert_eq!((&key["requests_remaining"], &key["usage_percentage"]), (&json!(0), &json!(100.0)));
}

#[actix_web::test]
async fn a_key_is_changed_by_its_user_only_and_with_the_scope_for_it() {
    let app = support::app().await;
    let (user, id, secret) = with_key(&app, json!({"scope_permissions": {"read": ["*"]}})).await;
    let stranger = app.register_user().await;
    for action in ["update", "rotate", "bulk_rotate"] {
        let body = json!({"action": action, "key_name": "mine"});
        for (key, id) in [(&stranger.key, &id), (&user.key, &json!(9_999_999))] {
            let refused = put(&app, key, id, body.clone()).await;
            assert_eq!((refused.status, refused.json()), (404, json!({"detail": "API key not found"})), "{action}");
        }
        let refused = put(&app, &secret, &id, body).await;
        assert_eq!((refused.status, refused.json()), (403, json!({"detail": "Insufficient permissions to write api keys"})));
    }
    assert_eq!(put(&app, &user.key, "seven", json!({})).await.status, 422);
    assert_eq!(app.get_as(&secret, "/user/balance").await.status, 200, "no one has rotated it");
    // A web session comes and goes with its sign-in.
    app.database.connect().await.batch_execute("UPDATE api_keys SET is_session = true WHERE key_name = 'ci'").await.unwrap();
    for action in ["update", "rotate", "bulk_rotate"] {
        assert_eq!(put(&app, &user.key, &id, json!({"action": action, "key_name": "mine"})).await.status, 404, "{action}");
    }
}

#[actix_web::test]
async fn a_key_grants_no_more_than_it_may_do_itself() {
    let app = support::app().await;
    let (user, id, narrow) = with_key(&app, json!({"scope_permissions": {"read": ["*"], "write": ["api_keys"]}})).await;
    for scopes in [json!({}), json!({"write": ["*"]}), json!({"admin": ["users"]})] {
        let refused = put(&app, &narrow, &id, json!({"scope_permissions": scopes})).await;
        assert_eq!(
            (refused.status, refused.json()["detail"].clone()),
            (403, json!("Insufficient permissions to grant these scopes"))
        );
    }
    let key = updated(&app, &narrow, &id, json!({"scope_permissions": {"write": ["api_keys"]}})).await;
    assert_eq!(key["scope_permissions"], json!({"write": ["api_keys"]}));
    assert_eq!(put(&app, &user.key, &id, json!({"scope_permissions": {}})).await.status, 200, "the primary key may");
}

/// K1 over the door: a key that is switched off, and one whose address list changes, on two servers.
#[actix_web::test]
async fn a_change_is_known_at_once_here_and_within_a_second_on_another_server() {
    let one = support::app().await;
    let url = one.database.app_url.clone();
    let two = support::app_with(&[("DATABASE_URL", url.as_str()), ("DATABASE_ADMIN_URL", one.database.owner_url.as_str())]).await;
    let (user, id, secret) = with_key(&one, json!({})).await;
    let changes =
        [(json!({"is_active": false}), 401), (json!({"is_active": true}), 200), (json!({"ip_allowlist": ["192.0.2.1"]}), 403)];
    for (change, status) in changes {
        updated(&one, &user.key, &id, change.clone()).await;
        let changed = Instant::now();
        assert_eq!(one.get_as(&secret, "/user/balance").await.status, status, "{change} at once");
        eventually("the other server knows", async || {
            (two.get_as(&secret, "/user/balance").await.status == status).then_some(())
        })
        .await;
        assert!(changed.elapsed() <= Duration::from_secs(1), "{change}: {:?}", changed.elapsed());
    }
}
