//! `POST /admin/add_credits`, `/admin/limit`, `/admin/assign-plan`.

use crate::support::{self, ADMIN_KEY, Reply, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

async fn admin(app: &TestApp, door: &str, body: Value) -> Reply {
    app.post_as(ADMIN_KEY, &format!("/admin/{door}"), body).await
}

#[actix_web::test]
async fn credits_are_added_exactly() {
    let app = support::app().await;
    let user = app.register_user().await;
    let body = admin(&app, "add_credits", json!({"api_key": user.key, "credits": 5})).await.json();
    let message = format!("Added 5 credits to user {}", user.username);
    assert_eq!(body, json!({"status": "success", "message": message, "new_balance": 15.0, "user_id": user.id}));
    let body = admin(&app, "add_credits", json!({"user_id": user.id, "credits": 0.000000001})).await.json();
    assert_eq!(body["new_balance"], 15.000000001);
    let body = admin(&app, "add_credits", json!({"user_id": user.id, "api_key": user.key, "credits": 0.1})).await.json();
    assert_eq!(body["new_balance"], 15.100000001);
}

#[actix_web::test]
async fn credits_that_are_not_positive_or_not_exact_are_400() {
    let app = support::app().await;
    let user = app.register_user().await;
    for credits in [json!(0), json!(-1), json!(-0.5), json!(0.0)] {
        let reply = admin(&app, "add_credits", json!({"user_id": user.id, "credits": credits})).await;
        assert_eq!((reply.status, reply.json()), (400, json!({"detail": "Credits must be positive"})), "{credits}");
    }
    for credits in [json!(1e300), json!(1_000_000.5), json!(u64::MAX), json!(0.0000000001)] {
        assert_eq!(admin(&app, "add_credits", json!({"user_id": user.id, "credits": credits})).await.status, 400, "{credits}");
    }
    for body in [
        json!({"user_id": user.id}),
        json!({"credits": 1}),
        json!({"user_id": user.id, "credits": "5"}),
        json!({"user_id": 1.5, "credits": 1}),
    ] {
        assert_eq!(admin(&app, "add_credits", body.clone()).await.status, 422, "{body}");
    }
    assert_eq!(app.get_as(&user.key, "/user/balance").await.json()["credits"], 10.0);
}

#[actix_web::test]
async fn nobody_gets_no_credits() {
    let app = support::app().await;
    let (one, two) = (app.register_user().await, app.register_user().await);
    let typo = format!("{}x", one.key);
    for body in
        [json!({"user_id": 999_999, "credits": 1}), json!({"api_key": typo, "credits": 1}), json!({"api_key": "", "credits": 1})]
    {
        let reply = admin(&app, "add_credits", body.clone()).await;
        assert_eq!((reply.status, reply.json()), (404, json!({"detail": "User not found"})), "{body}");
    }
    let reply = admin(&app, "add_credits", json!({"user_id": two.id, "api_key": one.key, "credits": 1})).await;
    assert_eq!(reply.status, 400, "the two mean different users");
}

#[actix_web::test]
async fn a_repeated_grant_under_one_idempotency_key_has_one_effect() {
    let app = support::app().await;
    let user = app.register_user().await;
    let add = async |credits: i64| {
        let request = app.request(Method::POST, "/admin/add_credits").bearer_auth(ADMIN_KEY).header("idempotency-key", "order-7");
        Reply::of(request.json(&json!({"user_id": user.id, "credits": credits}))).await
    };
    assert_eq!(add(5).await.json()["new_balance"], 15.0);
    assert_eq!(add(5).await.json()["new_balance"], 15.0);
    assert_eq!(add(6).await.status, 409);
    assert_eq!(app.get_as(&user.key, "/user/balance").await.json()["credits"], 15.0);
}

#[actix_web::test]
async fn limits_are_set_for_one_key_or_for_all_of_a_user() {
    let app = support::app_with(&[("RATE_LIMIT_BURST", "60")]).await;
    let user = app.register_user().await;
    let second = app.post_as(&user.key, "/user/api-keys", json!({"key_name": "second"})).await.json();
    let six = json!({"requests_per_minute": 1, "requests_per_hour": 2, "requests_per_day": 3, "tokens_per_minute": 4, "tokens_per_hour": 5,
        "tokens_per_day": 6});
    let body = admin(&app, "limit", json!({"api_key": second["api_key"], "rate_limits": six})).await.json();
    let masked = &second["api_key"].as_str().unwrap()[..10];
    let message = format!("Rate limits updated for user {masked}...");
    assert_eq!(body, json!({"status": "success", "message": message, "rate_limits": six, "keys_updated": 1}));
    let stored = "SELECT requests_per_minute * 1000000 + tokens_per_day * 1000 + burst_limit FROM rate_limit_configs";
    assert_eq!(app.database.number(stored).await, 1_006_060, "the burst is the default");
    let body =
        admin(&app, "limit", json!({"user_id": user.id, "rate_limits": {"burst_limit": 7, "concurrency_limit": 8}})).await.json();
    assert_eq!(body["keys_updated"], 2);
    assert_eq!(body["rate_limits"]["requests_per_hour"], 1_000, "the contract's default");
    assert_eq!(
        app.database.number("SELECT sum(burst_limit * 100 + concurrency_limit)::bigint FROM rate_limit_configs").await,
        1_416
    );
    assert_eq!(app.database.number("SELECT count(*) FROM api_key_audit_logs WHERE action = 'update'").await, 3);
}

#[actix_web::test]
async fn limits_that_make_no_sense_or_mean_nobody_are_refused() {
    let app = support::app().await;
    let user = app.register_user().await;
    for limits in [json!({"requests_per_minute": -1}), json!({"burst_limit": -1}), json!({"tokens_per_day": i64::MAX})] {
        assert_eq!(admin(&app, "limit", json!({"user_id": user.id, "rate_limits": limits})).await.status, 400, "{limits}");
    }
    let reply = admin(&app, "limit", json!({"user_id": 999_999, "rate_limits": {}})).await;
    assert_eq!((reply.status, reply.json()), (404, json!({"detail": "User not found"})));
    assert_eq!(admin(&app, "limit", json!({"user_id": user.id})).await.status, 422);
    assert_eq!(
        admin(&app, "limit", json!({"user_id": user.id, "rate_limits": {"requests_per_minute": "many"}})).await.status,
        422
    );
}

#[actix_web::test]
async fn a_plan_is_assigned_for_months_of_thirty_days_and_ends_the_trial() {
    let app = support::app().await;
    let user = app.register_user().await;
    let dev = app.database.number("SELECT id FROM plans WHERE plan_type = 'dev'").await;
    let mut body = admin(&app, "assign-plan", json!({"user_id": user.id, "plan_id": dev, "duration_months": 2})).await.json();
    assert!(body["timestamp"].take().is_string());
    let message = format!("Plan Dev assigned to user {} for 2 months", user.id);
    let expected = json!({"status": "success", "message": message, "user_id": user.id, "plan_id": dev, "duration_months": 2, "timestamp": null});
    assert_eq!(body, expected);
    assert_eq!(
        app.database.number("SELECT extract(day FROM end_date - start_date)::bigint FROM user_plans WHERE is_active").await,
        60
    );
    assert_eq!(app.database.number("SELECT count(*) FROM user_plans").await, 2, "the one before is kept, and not active");
    let balance = app.get_as(&user.key, "/user/balance").await.json();
    assert_eq!(balance["status"], "active");
}

#[actix_web::test]
async fn unknown_plans_and_users_and_absurd_durations_are_refused() {
    let app = support::app().await;
    let user = app.register_user().await;
    let cases = [
        (json!({"user_id": user.id, "plan_id": 999}), 400, "Plan 999 not found"),
        (json!({"user_id": 999_999, "plan_id": 1}), 404, "User not found"),
        (json!({"user_id": user.id, "plan_id": 1, "duration_months": 0}), 400, "Duration must be from 1 to 120 months"),
        (json!({"user_id": user.id, "plan_id": 1, "duration_months": 121}), 400, "Duration must be from 1 to 120 months"),
    ];
    for (body, status, detail) in cases {
        let reply = admin(&app, "assign-plan", body).await;
        assert_eq!((reply.status, reply.json()), (status, json!({"detail": detail})));
    }
    assert_eq!(app.get_as(&user.key, "/user/balance").await.json()["status"], "trial");
}

#[actix_web::test]
async fn the_admin_doors_are_for_administrators() {
    let app = support::app().await;
    let (user, boss) = (app.register_user().await, app.register_user().await);
    app.database.connect().await.execute("UPDATE users SET is_admin = true WHERE id = $1", &[&boss.id]).await.unwrap();
    let body = json!({"user_id": user.id, "credits": 1, "plan_id": 1, "rate_limits": {}});
    for door in ["/admin/add_credits", "/admin/limit", "/admin/assign-plan"] {
        let without = app.post(door, body.clone()).await;
        assert_eq!((without.status, without.json()), (401, json!({"detail": "Not authenticated"})), "{door}");
        for wrong in ["wrong", &ADMIN_KEY[1..], &format!("{ADMIN_KEY}x")] {
            let reply = app.post_as(wrong, door, body.clone()).await;
            assert_eq!((reply.status, reply.json()), (401, json!({"detail": "Invalid admin API key"})), "{door}");
        }
        let reply = app.post_as(&user.key, door, body.clone()).await;
        assert_eq!((reply.status, reply.json()), (403, json!({"detail": "Administrator privileges required"})), "{door}");
    }
    support::eventually("the administrator", async || {
        (app.post_as(&boss.key, "/admin/add_credits", body.clone()).await.status == 200).then_some(())
    })
    .await;
}
