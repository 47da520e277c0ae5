//! `POST`, `GET` and `DELETE /user/api-keys`.

mod audit;
mod budgets;
mod models;
mod overspend;
mod restrictions;
mod rotation;
mod update;

use crate::support::{self, Reply, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

async fn create(app: &TestApp, key: &str, body: Value) -> Value {
    let reply = app.post_as(key, "/user/api-keys", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[actix_web::test]
async fn a_new_key_is_answered_as_the_contract_says_and_shown_once() {
    let app = support::app().await;
    let user = app.register_user().await;
    // What the web client sends.
    let mut made = create(
        &app,
        &user.key,
        json!({"key_name": "ci", "environment_tag": "live", "action": "create", "max_requests": 500, "scope_permissions": null,
            "expiration_days": null, "ip_allowlist": [], "domain_referrers": []}),
    )
    .await;
    let key = made["api_key"].take();
    let id = made["key_id"].take();
    assert_eq!(made["id"].take(), id);
    assert!(text(&key).starts_with("gw_live_"));
    let expected = json!({
        "status": "success", "message": "API key created successfully with enhanced security features",
        "id": null, "key_id": null, "api_key": null, "key_name": "ci", "environment_tag": "live",
        "security_features": {"ip_allowlist": [], "domain_referrers": [], "expiration_days": null, "max_requests": 500,
            "allowed_models": [], "budget_usd": null, "budget_period": null, "audit_logging": true, "last_used_tracking": true},
        "phase4_integration": true,
    });
    assert_eq!(made, expected);
    let list = app.get_as(&user.key, "/user/api-keys").await;
    assert!(!list.text().contains(text(&key)), "the whole key is never shown again");
    assert_eq!(app.get_as(text(&key), "/user/balance").await.status, 200);
}

#[actix_web::test]
async fn keys_are_listed_newest_first_with_their_security_status() {
    let app = support::app().await;
    let user = app.register_user().await;
    let made = create(
        &app,
        &user.key,
        json!({"key_name": "tight", "environment_tag": "staging", "expiration_days": 30, "max_requests": 99_999_999,
            "ip_allowlist": ["10.0.0.0/8", " "], "domain_referrers": ["example.org"], "scope_permissions": {"read": ["usage"]},
            "allowed_models": [" openai/gpt-4o ", "", "anthropic/*"], "budget_usd": 2.5, "budget_period": "daily"}),
    )
    .await;
    let features = &made["security_features"];
    assert_eq!(features["allowed_models"], json!(["openai/gpt-4o", "anthropic/*"]));
    assert_eq!((&features["budget_usd"], &features["budget_period"]), (&json!(2.5), &json!("daily")));
    assert_eq!(made["security_features"]["max_requests"], 10_000, "cut to the Free plan's month");
    let mut list = app.get_as(&user.key, "/user/api-keys").await.json();
    assert_eq!((&list["status"], &list["total_keys"]), (&json!("success"), &json!(2)));
    assert_eq!((&list["phase4_integration"], &list["security_features_enabled"]), (&json!(true), &json!(true)));
    assert_eq!(list["keys"][1]["key_name"], "Primary Key");
    let mut key = list["keys"][0].take();
    for time in ["expiration_date", "created_at", "updated_at"] {
        assert!(key[time].take().is_string(), "{time}");
    }
    for time in ["starts_at", "resets_at"] {
        assert!(text(&key["budget"][time].take()).ends_with('Z'), "{time}");
    }
    let whole = text(&made["api_key"]);
    let expected = json!({
        "id": made["id"], "api_key": format!("{}...", &whole[..10]), "last4": whole[whole.len() - 4..],
        "key_name": "tight", "environment_tag": "staging", "scope_permissions": {"read": ["usage"]},
        "is_active": true, "is_primary": false, "is_session": false, "expiration_date": null, "days_remaining": key["days_remaining"],
        "max_requests": 10_000, "requests_used": 0, "requests_remaining": 10_000, "usage_percentage": 0.0,
        "ip_allowlist": ["10.0.0.0/8"], "domain_referrers": ["example.org"],
        "allowed_models": ["openai/gpt-4o", "anthropic/*"],
        "budget": {"limit_usd": 2.5, "period": "daily", "spent_usd": 0.0, "held_usd": 0.0, "remaining_usd": 2.5, "starts_at": null,
            "resets_at": null},
        "rotation": null, "created_at": null, "updated_at": null, "last_used_at": null,
        "security_status": {"has_ip_restrictions": true, "has_domain_restrictions": true, "has_expiration": true,
            "has_usage_limits": true, "has_model_restrictions": true, "has_budget": true, "last_used_tracking": true, "audit_logging": true, "phase4_enhanced": true},
    });
    assert_eq!(key, expected);
    assert!([29, 30].contains(&key["days_remaining"].as_i64().unwrap()));
}

#[actix_web::test]
async fn broken_rules_are_400_in_the_contracts_words() {
    let app = support::app().await;
    let user = app.register_user().await;
    let cases = [
        (
            json!({"key_name": "k", "environment_tag": "prod"}),
            "Invalid environment tag. Must be one of: ['test', 'staging', 'live', 'development']",
        ),
        (json!({"key_name": "k", "expiration_days": 0}), "Expiration days must be positive"),
        (json!({"key_name": "k", "expiration_days": 1_000_000}), "Expiration days must be at most 36500"),
        (json!({"key_name": "k", "max_requests": -5}), "Max requests must be positive"),
        (json!({"key_name": "k", "action": "destroy"}), "Invalid action. Must be 'create'"),
        (json!({"key_name": "k", "ip_allowlist": ["10.0.0.300"]}), "Invalid IP address or network: 10.0.0.300"),
        (json!({"key_name": "k", "domain_referrers": ["not a host"]}), "Invalid domain: not a host"),
        (json!({"key_name": "k", "allowed_models": ["a model"]}), "Invalid model: a model"),
        (json!({"key_name": "k", "budget_usd": 0}), "Budget must be positive"),
        (json!({"key_name": "k", "budget_usd": -0.5}), "Budget must be positive"),
        (json!({"key_name": "k", "budget_usd": 0.0000000001}), "Budget: more than nine decimals"),
        (json!({"key_name": "k", "budget_usd": 1_000_000_001}), "Budget must be at most 1000000000"),
        (
            json!({"key_name": "k", "budget_usd": 1, "budget_period": "yearly"}),
            "Invalid budget period. Must be one of: ['daily', 'weekly', 'monthly', 'total']",
        ),
        (json!({"key_name": "k", "budget_period": "daily"}), "The key has no budget: give budget_usd"),
        (
            json!({"key_name": "Primary Key"}),
            "Key name 'Primary Key' already exists for this user. Please choose a different name.",
        ),
    ];
    for (body, detail) in cases {
        let reply = app.post_as(&user.key, "/user/api-keys", body).await;
        assert_eq!((reply.status, reply.json()), (400, json!({"detail": detail})));
    }
    for body in [
        json!({}),
        json!({"key_name": ""}),
        json!({"key_name": "k", "scope_permissions": ["*"]}),
        json!({"key_name": "k", "max_requests": "5"}),
        json!({"key_name": "k", "budget_usd": "5"}),
        json!({"key_name": "k", "allowed_models": "openai/gpt-4o"}),
        json!({"key_name": "k", "allowed_models": vec!["m"; 101]}),
    ] {
        assert_eq!(app.post_as(&user.key, "/user/api-keys", body.clone()).await.status, 422, "{body}");
    }
}

#[actix_web::test]
async fn two_users_may_have_keys_of_one_name() {
    let app = support::app().await;
    let (one, two) = (app.register_user().await, app.register_user().await);
    create(&app, &one.key, json!({"key_name": "ci"})).await;
    create(&app, &two.key, json!({"key_name": "ci"})).await;
}

#[actix_web::test]
async fn a_key_makes_no_key_that_may_do_more_than_itself() {
    let app = support::app().await;
    let user = app.register_user().await;
    let narrow =
        create(&app, &user.key, json!({"key_name": "narrow", "scope_permissions": {"read": ["*"], "write": ["api_keys"]}})).await;
    let narrow = text(&narrow["api_key"]);
    for scopes in [json!(null), json!({}), json!({"write": ["*"]}), json!({"admin": ["users"]})] {
        let reply = app.post_as(narrow, "/user/api-keys", json!({"key_name": "wide", "scope_permissions": scopes})).await;
        assert_eq!(reply.status, 403, "{scopes}");
    }
    create(&app, narrow, json!({"key_name": "narrower", "scope_permissions": {"read": ["usage"]}})).await;
}

#[actix_web::test]
async fn the_key_doors_ask_for_their_scopes() {
    let app = support::app().await;
    let user = app.register_user().await;
    let reader = create(&app, &user.key, json!({"key_name": "reader", "scope_permissions": {"read": ["api_keys"]}})).await;
    let blind = create(&app, &user.key, json!({"key_name": "blind", "scope_permissions": {"write": ["chat"]}})).await;
    let (reader, blind) = (text(&reader["api_key"]), text(&blind["api_key"]));
    assert_eq!(app.get_as(reader, "/user/api-keys").await.status, 200);
    let refused = app.get_as(blind, "/user/api-keys").await;
    assert_eq!((refused.status, refused.json()), (403, json!({"detail": "Insufficient permissions to read api keys"})));
    for key in [reader, blind] {
        assert_eq!(app.post_as(key, "/user/api-keys", json!({"key_name": "x"})).await.status, 403);
        assert_eq!(app.delete_as(key, "/user/api-keys/1", json!({})).await.status, 403);
    }
}

#[actix_web::test]
async fn a_deleted_key_is_refused_at_once_and_leaves_its_audit() {
    let app = support::app().await;
    let user = app.register_user().await;
    for (turn, body) in
        [Some(json!({"confirmation": "DELETE"})), Some(json!({"confirmation": "DELETE_KEY"})), Some(json!({})), None]
            .into_iter()
            .enumerate()
    {
        let made = create(&app, &user.key, json!({"key_name": format!("k{turn}")})).await;
        let key = text(&made["api_key"]);
        assert_eq!(app.get_as(key, "/user/balance").await.status, 200);
        let path = format!("/user/api-keys/{}", made["id"]);
        let request = app.request(Method::DELETE, &path).bearer_auth(&user.key);
        let reply = Reply::of(match &body {
            Some(body) => request.json(body),
            None => request,
        })
        .await;
        assert_eq!(reply.status, 200, "{body:?}");
        let mut answer = reply.json();
        assert!(answer["timestamp"].take().is_string());
        let expected = json!({"status": "success", "message": "API key deleted successfully", "deleted_key_id": made["id"], "timestamp": null});
        assert_eq!(answer, expected);
        let refused = app.get_as(key, "/user/balance").await;
        assert_eq!((refused.status, refused.json()["detail"].clone()), (401, json!("Invalid API key")));
        assert_eq!(app.delete_as(&user.key, &path, json!({})).await.status, 404, "it is gone");
    }
    let logged = "SELECT count(*) FROM api_key_audit_logs WHERE action = 'delete' AND details ?& array['deleted_at', 'key_name', 'environment_tag']";
    let count: i64 = app.database.connect().await.query_one(logged, &[]).await.unwrap().get(0);
    assert_eq!(count, 4);
}

#[actix_web::test]
async fn a_key_is_deleted_by_its_user_only_and_only_when_confirmed() {
    let app = support::app().await;
    let (one, two) = (app.register_user().await, app.register_user().await);
    let made = create(&app, &one.key, json!({"key_name": "mine"})).await;
    let path = format!("/user/api-keys/{}", made["id"]);
    let refused = app.delete_as(&two.key, &path, json!({})).await;
    assert_eq!((refused.status, refused.json()), (404, json!({"detail": "API key not found"})));
    let refused = app.delete_as(&one.key, &path, json!({"confirmation": "yes"})).await;
    let detail = "Confirmation must be 'DELETE_KEY' to proceed with key deletion";
    assert_eq!((refused.status, refused.json()), (400, json!({"detail": detail})));
    assert_eq!(app.delete_as(&one.key, "/user/api-keys/seven", json!({})).await.status, 422);
    assert_eq!(app.get_as(text(&made["api_key"]), "/user/balance").await.status, 200);
}
