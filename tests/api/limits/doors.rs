//! The doors that show limits and set them.

use super::*;
use chrono::{DateTime, Utc};
use reqwest::Method;

async fn put(app: &TestApp, key: &str, key_id: i64, limits: Value) -> Reply {
    Reply::of(app.request(Method::PUT, &format!("/user/rate-limits/{key_id}")).bearer_auth(key).json(&limits)).await
}

async fn key_id(app: &TestApp, user: &TestUser) -> i64 {
    app.get_as(&user.key, "/user/rate-limits").await.json()["rate_limit_configs"][0]["key_id"].as_i64().unwrap()
}

/// The six that owners set.
fn six(requests_per_hour: i64) -> Value {
    json!({"requests_per_minute": 5, "requests_per_hour": requests_per_hour, "requests_per_day": 100,
        "tokens_per_minute": 1_000, "tokens_per_hour": 2_000, "tokens_per_day": 3_000})
}

const DEFAULTS: [(&str, &str); 6] = [
    ("RATE_LIMIT_REQUESTS_PER_MINUTE", "60"),
    ("RATE_LIMIT_REQUESTS_PER_HOUR", "1000"),
    ("RATE_LIMIT_REQUESTS_PER_DAY", "10000"),
    ("RATE_LIMIT_TOKENS_PER_MINUTE", "10000"),
    ("RATE_LIMIT_TOKENS_PER_HOUR", "100000"),
    ("RATE_LIMIT_TOKENS_PER_DAY", "1000000"),
];

#[actix_web::test]
async fn the_limit_page_has_the_contracts_shape_and_says_when_something_is_reached() {
    let app = support::app_with(&DEFAULTS).await;
    away_from_borders(&app);
    let user = app.register_user().await;
    let mut page = app.get_as(&user.key, "/user/limit").await.json();
    let resets = page["reset_times"].take();
    let of = |window: &str| resets[window].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    assert_eq!(of("minute").timestamp() % 60, 0);
    assert_eq!((of("hour").timestamp() % 3_600, of("day").timestamp() % 86_400), (0, 0));
    assert!(app.clock.now() < of("minute") && of("minute") <= of("hour") && of("hour") <= of("day"));
    let expected = json!({
        "status": "success", "api_key": format!("{}...", &user.key[..10]), "reset_times": null,
        "current_limits": {"requests_per_minute": 60, "requests_per_hour": 1_000, "requests_per_day": 10_000,
            "tokens_per_minute": 10_000, "tokens_per_hour": 100_000, "tokens_per_day": 1_000_000},
        "current_usage": {"allowed": true, "reason": "No rate limits configured"},
    });
    assert_eq!(page, expected);
    let usage = async || app.get_as(&user.key, "/user/limit").await.json()["current_usage"].clone();
    grant(&app, &user, json!({"requests_per_hour": 1})).await;
    assert_eq!(usage().await, json!({"allowed": true, "reason": "Within rate limits"}));
    ask(&app, &user).await;
    assert_eq!(usage().await, json!({"allowed": false, "reason": "Rate limit exceeded: 1 requests per hour"}));
    grant(&app, &user, json!({"tokens_per_day": 1})).await;
    assert_eq!(usage().await, json!({"allowed": false, "reason": "Token limit exceeded: 1 tokens per day"}));
}

#[actix_web::test]
async fn an_owner_lowers_limits_and_raises_them_up_to_what_was_granted() {
    let app = support::app_with(&DEFAULTS).await;
    away_from_borders(&app);
    let user = app.register_user().await;
    let id = key_id(&app, &user).await;
    let reply = put(&app, &user.key, id, six(1)).await;
    assert_eq!((reply.status, reply.json()["rate_limits"].clone()), (200, six(1)), "{reply:?}");
    assert_eq!((ask(&app, &user).await.status, ask(&app, &user).await.status), (200, 429), "bound at once");
    assert_eq!(put(&app, &user.key, id, six(1_000)).await.status, 200, "up to the settings");
    let above = put(&app, &user.key, id, six(1_001)).await;
    assert_eq!(above.status, 400);
    assert!(above.json()["detail"].as_str().unwrap().starts_with("Limits can be lowered, not raised"), "{above:?}");
    grant(&app, &user, json!({"requests_per_hour": 2_000})).await;
    assert_eq!(put(&app, &user.key, id, six(2_000)).await.status, 200, "the operator gave more");
    assert_eq!(put(&app, &user.key, id, six(2_001)).await.status, 400);
    grant(&app, &user, json!({"requests_per_hour": 10})).await;
    assert_eq!(put(&app, &user.key, id, six(11)).await.status, 400, "the operator took it back");
    let audited = "SELECT count(*) FROM api_key_audit_logs WHERE action = 'update'";
    assert_eq!(app.database.number(audited).await, 5);
}

#[actix_web::test]
async fn limits_that_are_wrong_or_not_the_callers_are_refused() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    let (id, others) = (key_id(&app, &user).await, key_id(&app, &other).await);
    for (key_id, limits, status) in
        [(id, six(-1), 400), (id, json!({"requests_per_hour": 1}), 422), (others, six(1), 404), (999_999, six(1), 404)]
    {
        let reply = put(&app, &user.key, key_id, limits.clone()).await;
        assert_eq!(reply.status, status, "{limits}: {reply:?}");
    }
    let mut bulk = six(1);
    bulk["key_ids"] = json!([id, others]);
    assert_eq!(app.post_as(&user.key, "/user/rate-limits/bulk-update", bulk.clone()).await.status, 404);
    bulk["key_ids"] = json!([]);
    assert_eq!(app.post_as(&user.key, "/user/rate-limits/bulk-update", bulk).await.status, 400);
    assert_eq!(app.database.number("SELECT count(*) FROM rate_limit_configs").await, 0, "all or none");
    assert_eq!(app.get_as(&user.key, &format!("/user/rate-limits/usage/{others}")).await.status, 404);
    assert_eq!(app.get_as(&user.key, &format!("/user/rate-limits/usage/{id}?time_window=year")).await.status, 422);
}

#[actix_web::test]
async fn several_keys_are_set_at_once_and_each_shows_its_own_use() {
    let app = support::app().await;
    away_from_borders(&app);
    let user = app.register_user().await;
    app.post_as(&user.key, "/user/api-keys", json!({"key_name": "second"})).await;
    let reply = app.post_as(&user.key, "/user/rate-limits/bulk-update", six(50)).await;
    assert_eq!((reply.status, reply.json()["keys_updated"].clone()), (200, json!(2)), "{reply:?}");
    let tokens = ask(&app, &user).await.json()["gateway_usage"]["tokens_charged"].as_i64().unwrap();
    let page = app.get_as(&user.key, "/user/rate-limits").await.json();
    let configs = page["rate_limit_configs"].as_array().unwrap();
    assert_eq!((configs.len(), &configs[0]["key_name"], &configs[1]["key_name"]), (2, &json!("second"), &json!("Primary Key")));
    let zero = json!({"requests": 0, "tokens": 0});
    assert_eq!(configs[0]["usage_stats"], json!({"minute": zero, "hour": zero, "day": zero}));
    assert_eq!(configs[1]["usage_stats"]["hour"], json!({"requests": 1, "tokens": tokens}));
    assert_eq!(configs[1]["current_status"]["requests_remaining_hour"], 49);
    assert_eq!(configs[1]["current_status"]["tokens_remaining_day"], 3_000 - tokens);
    assert_eq!(configs[1]["rate_limit_config"]["requests_per_hour"], 50);
    let id = configs[1]["key_id"].as_i64().unwrap();
    let hour = app.get_as(&user.key, &format!("/user/rate-limits/usage/{id}?time_window=hour")).await.json();
    assert_eq!(
        (&hour["usage"], &hour["limits"], &hour["remaining"]["requests"]),
        (&json!({"requests": 1, "tokens": tokens}), &json!({"requests": 50, "tokens": 2_000}), &json!(49))
    );
}

#[actix_web::test]
async fn a_key_without_the_scope_neither_reads_nor_sets_limits() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = key_id(&app, &user).await;
    let narrow = json!({"key_name": "narrow", "scope_permissions": {"read": ["profile"], "write": ["chat"]}});
    let narrow = app.post_as(&user.key, "/user/api-keys", narrow).await.json()["api_key"].as_str().unwrap().to_owned();
    assert_eq!(put(&app, &narrow, id, six(1)).await.status, 403);
    assert_eq!(app.post_as(&narrow, "/user/rate-limits/bulk-update", six(1)).await.status, 403);
    for door in ["/user/limit", "/user/rate-limits", &format!("/user/rate-limits/usage/{id}")] {
        assert_eq!(app.get_as(&narrow, door).await.status, 403, "{door}");
        assert_eq!(app.get(door).await.status, 401, "{door}");
    }
    for door in ["/admin/rate-limits/system", "/admin/rate-limits/alerts"] {
        assert_eq!((app.get(door).await.status, app.get_as(&user.key, door).await.status), (401, 403), "{door}");
    }
}

#[actix_web::test]
async fn an_operator_sees_what_is_used_and_who_was_refused_once_for_each_window() {
    let app = support::app().await;
    away_from_borders(&app);
    let user = app.register_user().await;
    grant(&app, &user, json!({"requests_per_hour": 2})).await;
    for _ in 0..6 {
        ask(&app, &user).await;
    }
    let alerts = eventually("the alert", async || {
        let alerts = app.get_as(ADMIN_KEY, "/admin/rate-limits/alerts").await.json();
        (alerts["total_alerts"] == 1).then_some(alerts)
    })
    .await;
    let alert = &alerts["alerts"][0];
    assert_eq!(
        (&alert["alert_type"], &alert["user_id"], &alert["resolved"]),
        (&json!("requests_per_hour"), &json!(user.id), &json!(false))
    );
    assert_eq!(alert["details"], json!({"limit": 2, "reason": "Rate limit exceeded: Hour request limit exceeded"}));
    let of_key = async |query: &str| app.get_as(ADMIN_KEY, &format!("/admin/rate-limits/alerts?{query}")).await;
    assert_eq!(of_key(&format!("api_key={}", user.key)).await.json()["total_alerts"], 1);
    assert_eq!(of_key("resolved=true").await.json()["total_alerts"], 0);
    assert_eq!((of_key("api_key=gw_live_no").await.status, of_key("limit=0").await.status), (404, 400));
    let system = eventually("the counts", async || {
        let system = app.get_as(ADMIN_KEY, "/admin/rate-limits/system").await.json();
        (system["hour"]["requests"] == 2).then_some(system)
    })
    .await;
    assert_eq!((&system["day"]["active_keys"], &system["open_alerts"]), (&json!(1), &json!(1)));
}
