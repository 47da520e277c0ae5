//! `GET /v1/key`, `GET /v1/credits`, `GET /user/monitor` and `GET /user/environment-usage`.

use crate::support::money::{self, nanos};
use crate::support::{self, ADMIN_KEY, TestApp, TestUser, eventually};
use serde_json::{Value, json};

async fn call(app: &TestApp, key: &str, model: &str, max_tokens: i64) -> i64 {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hello world"}], "max_tokens": max_tokens});
    let reply = app.post_as(key, "/v1/chat/completions", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    nanos(reply.json()["gateway_usage"]["cost_usd"].as_f64().unwrap())
}

async fn data(app: &TestApp, key: &str, path: &str) -> Value {
    let reply = app.get_as(key, path).await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    reply.json()["data"].take()
}

async fn new_key(app: &TestApp, user: &TestUser, fields: Value) -> String {
    let reply = app.post_as(&user.key, "/user/api-keys", fields).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["api_key"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_key_knows_itself_and_what_it_has_used() {
    let app = support::app().await;
    let user = app.register_user().await;
    let second = new_key(&app, &user, json!({"key_name": "second", "expiration_days": 10, "max_requests": 50})).await;
    let expected = json!({
        "label": format!("{}...", &user.key[..10]), "name": "Primary Key", "limit": null, "limit_remaining": null, "limit_reset": null,
        "include_byok_in_limit": false, "usage": 0.0, "usage_daily": 0.0, "usage_weekly": 0.0, "usage_monthly": 0.0,
        "byok_usage": 0.0, "byok_usage_daily": 0.0, "byok_usage_weekly": 0.0, "byok_usage_monthly": 0.0, "is_free_tier": true,
        "is_management_key": false, "is_provisioning_key": false, "creator_user_id": user.id.to_string(), "expires_at": null,
        "max_requests": null, "requests_remaining": null,
        "rate_limit": {"requests": 60, "interval": "1m", "note": "Beside it there are limits by hour and day, and of tokens"},
    });
    let mut shown = data(&app, &user.key, "/v1/key").await;
    // Tests set limits of their own.
    shown["rate_limit"]["requests"] = json!(60);
    assert_eq!(shown, expected);
    let mut spent = [0, 0];
    for n in 0..7_usize {
        let key = [&user.key, &second][n % 2];
        spent[n % 2] += call(&app, key, "openai/gpt-4o-mini", i64::try_from(n).unwrap() + 1).await;
    }
    for (key, spent) in [(&user.key, spent[0]), (&second, spent[1])] {
        let shown = eventually("the calls are summed", async || {
            Some(data(&app, key, "/v1/key").await).filter(|shown| nanos(shown["usage"].as_f64().unwrap()) == spent)
        })
        .await;
        for field in ["usage_daily", "usage_weekly", "usage_monthly"] {
            assert_eq!(shown[field], shown["usage"], "{field}");
        }
    }
    let shown = data(&app, &second, "/v1/key").await;
    assert!(shown["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(shown["max_requests"], 50);
    assert_eq!(app.post_as(ADMIN_KEY, "/admin/add_credits", json!({"user_id": user.id, "credits": 1})).await.status, 200);
    eventually("whoever is given credits is no longer on trial", async || {
        Some(data(&app, &user.key, "/v1/key").await).filter(|shown| shown["is_free_tier"] == false)
    })
    .await;
}

#[actix_web::test]
async fn the_credits_are_what_came_in_and_what_calls_took_at_once_and_exactly() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    assert_eq!(data(&app, &user.key, "/v1/credits").await, json!({"total_credits": 10.0, "total_usage": 0.0}));
    assert_eq!(app.post_as(ADMIN_KEY, "/admin/add_credits", json!({"user_id": user.id, "credits": 2.5})).await.status, 200);
    let mut spent = 0;
    for n in 1..12 {
        spent += call(&app, &user.key, "openai/gpt-4o", n).await;
        let shown = data(&app, &user.key, "/v1/credits").await;
        assert_eq!((&shown["total_credits"], nanos(shown["total_usage"].as_f64().unwrap())), (&json!(12.5), spent));
        assert_eq!(nanos(12.5) - spent, money::credits(&app, &user).await);
    }
    assert_eq!(data(&app, &other.key, "/v1/credits").await, json!({"total_credits": 10.0, "total_usage": 0.0}));
}

#[actix_web::test]
async fn the_monitor_tells_the_keys_use_in_numbers() {
    let app = support::app().await;
    let user = app.register_user().await;
    let second = new_key(&app, &user, json!({"key_name": "second"})).await;
    let body = app.get_as(&user.key, "/user/monitor").await.json();
    assert_eq!((&body["status"], &body["user_id"], &body["current_credits"]), (&json!("success"), &json!(user.id), &json!(10.0)));
    assert_eq!(body["api_key"], format!("{}...", &user.key[..10]));
    let nothing = json!({"total_requests": 0, "total_tokens": 0, "total_cost": 0.0, "requests_today": 0, "tokens_today": 0,
        "cost_today": 0.0, "requests_this_month": 0, "tokens_this_month": 0, "cost_this_month": 0.0,
        "average_tokens_per_request": 0.0, "most_used_model": "No models used", "last_request_time": null});
    assert_eq!(body["usage_metrics"], nothing);
    let limits = body["rate_limits"].as_object().unwrap();
    let names = [
        "requests_per_minute",
        "requests_per_hour",
        "requests_per_day",
        "tokens_per_minute",
        "tokens_per_hour",
        "tokens_per_day",
    ];
    assert!(limits.len() == 6 && names.iter().all(|name| limits[*name].is_i64()), "{limits:?}");
    let mut spent = 0;
    for (model, tokens) in [("openai/gpt-4o", 5), ("openai/gpt-4o-mini", 5), ("openai/gpt-4o-mini", 8)] {
        spent += call(&app, &user.key, model, tokens).await;
    }
    call(&app, &second, "openai/gpt-4o", 3).await;
    let metrics = eventually("the calls are summed", async || {
        let metrics = app.get_as(&user.key, "/user/monitor").await.json()["usage_metrics"].take();
        Some(metrics).filter(|metrics| metrics["total_requests"] == 3)
    })
    .await;
    for span in ["total_cost", "cost_today", "cost_this_month"] {
        assert_eq!(nanos(metrics[span].as_f64().unwrap()), spent, "{span}");
    }
    assert_eq!((&metrics["total_tokens"], &metrics["average_tokens_per_request"]), (&json!(27), &json!(9.0)));
    assert_eq!(metrics["most_used_model"], "openai/gpt-4o-mini");
    assert!(metrics["last_request_time"].as_str().unwrap().ends_with('Z'));
}

#[actix_web::test]
async fn use_is_told_by_environment() {
    let app = support::app().await;
    let user = app.register_user().await;
    let test = new_key(&app, &user, json!({"key_name": "t1", "environment_tag": "test", "max_requests": 7})).await;
    new_key(&app, &user, json!({"key_name": "t2", "environment_tag": "test", "max_requests": 5})).await;
    let (live_cost, test_cost) =
        (call(&app, &user.key, "openai/gpt-4o", 5).await, call(&app, &test, "openai/gpt-4o-mini", 5).await);
    let usage = eventually("the calls are summed", async || {
        let body = app.get_as(&user.key, "/user/environment-usage").await.json();
        assert_eq!((&body["status"], &body["user_id"]), (&json!("success"), &json!(user.id)));
        let usage = body["environment_usage"].clone();
        Some(usage).filter(|usage| usage["live"]["total_requests"] == 1 && usage["test"]["total_requests"] == 1)
    })
    .await;
    let of = |tag: &str, cost: i64, most: i64, keys: i64| {
        assert_eq!(nanos(usage[tag]["total_cost"].as_f64().unwrap()), cost, "{tag}");
        assert_eq!((&usage[tag]["total_max_requests"], &usage[tag]["key_count"]), (&json!(most), &json!(keys)), "{tag}");
        assert_eq!(usage[tag]["total_tokens"], 8, "{tag}");
    };
    of("live", live_cost, 0, 1);
    of("test", test_cost, 12, 2);
    assert_eq!(usage.as_object().unwrap().len(), 2);
    let body = app.get_as(&user.key, "/user/api-keys/usage").await.json();
    assert_eq!(
        (&body["user_id"], &body["total_keys"], &body["audit_logging"]["enabled"]),
        (&json!(user.id), &json!(3), &json!(true))
    );
    let key = body["keys"].as_array().unwrap().iter().find(|key| key["key_name"] == "t1").unwrap();
    assert_eq!((&key["api_key"], &key["environment_tag"]), (&json!(format!("{}...", &test[..10])), &json!("test")));
    assert_eq!((&key["total_requests"], &key["requests_today"], &key["max_requests"]), (&json!(1), &json!(1), &json!(7)));
    for field in ["total_cost", "cost_today"] {
        assert_eq!(nanos(key[field].as_f64().unwrap()), test_cost, "{field}");
    }
    assert_eq!((&key["total_tokens"], &key["tokens_today"]), (&json!(8), &json!(8)));
    assert!(key["last_request_time"].as_str().unwrap().ends_with('Z'));
    let unused = body["keys"].as_array().unwrap().iter().find(|key| key["key_name"] == "t2").unwrap();
    assert_eq!(
        (&unused["total_requests"], &unused["total_cost"], &unused["last_request_time"]),
        (&json!(0), &json!(0.0), &Value::Null)
    );
}
