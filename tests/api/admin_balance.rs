//! `GET /admin/balance`.

use crate::support::{self, ADMIN_KEY, TestApp};
use serde_json::{Value, json};

async fn page(app: &TestApp, query: &str) -> Value {
    let reply = app.get_as(ADMIN_KEY, &format!("/admin/balance{query}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

#[actix_web::test]
async fn every_user_is_listed_with_balance_and_masked_keys() {
    let app = support::app().await;
    let (one, two) = (app.register_user().await, app.register_user().await);
    let spare = app.post_as(&one.key, "/user/api-keys", json!({"key_name": "spare", "environment_tag": "test"})).await.json();
    let set = "UPDATE accounts SET posted = CASE kind WHEN 'user' THEN 10000000000 ELSE -1500000000 END,
        held = CASE kind WHEN 'user' THEN 250000000 ELSE 0 END WHERE user_id = $1 AND asset = 'usd'";
    app.database.connect().await.execute(set, &[&two.id]).await.unwrap();
    app.database.connect().await.execute("DELETE FROM api_keys WHERE user_id = $1", &[&two.id]).await.unwrap();
    let mut body = page(&app, "").await;
    for user in body["users"].as_array_mut().unwrap() {
        for time in ["created_at", "updated_at"] {
            assert!(chrono::DateTime::parse_from_rfc3339(user[time].take().as_str().unwrap()).is_ok());
        }
    }
    let masked = |key: &str| format!("{}...", &key[..10]);
    let user = |id: i64, name: &str, keys: Vec<String>, held: f64, debt: f64| {
        json!({"user_id": id, "username": name, "email": format!("{name}@example.com"), "api_key": keys.first(), "api_keys": keys,
            "credits": 10.0, "held": held, "debt": debt, "is_active": true, "subscription_status": "trial",
            "created_at": null, "updated_at": null})
    };
    let keys = vec![masked(&one.key), masked(spare["api_key"].as_str().unwrap())];
    let users = [user(one.id, &one.username, keys, 0.0, 0.0), user(two.id, &two.username, Vec::new(), 0.25, 1.5)];
    assert_eq!(body, json!({"status": "success", "total_users": 2, "users": users, "next_after": null}));
}

#[actix_web::test]
async fn many_users_come_in_pages() {
    let app = support::app().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(app.register_user().await.id);
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let body = page(&app, &query).await;
        assert_eq!(body["total_users"], 5);
        seen.extend(body["users"].as_array().unwrap().iter().map(|user| user["user_id"].as_i64().unwrap()));
        let Some(after) = body["next_after"].as_i64() else { break };
        query = format!("?limit=2&after={after}");
    }
    assert_eq!(seen, ids);
    for wrong in ["?limit=0", "?limit=10001", "?limit=x", "?after=x"] {
        assert_eq!(app.get_as(ADMIN_KEY, &format!("/admin/balance{wrong}")).await.status, 422, "{wrong}");
    }
}

#[actix_web::test]
async fn a_house_without_users_has_an_empty_list() {
    let app = support::app().await;
    assert_eq!(page(&app, "").await, json!({"status": "success", "total_users": 0, "users": [], "next_after": null}));
}
