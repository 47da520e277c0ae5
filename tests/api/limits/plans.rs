//! What a plan and a trial let their user do.

use super::*;

const PLANS: (&str, &str) = ("PLAN_LIMITS", "on");

#[actix_web::test]
async fn a_plans_day_is_exact_over_all_keys_and_a_test_key_has_half_of_it() {
    let app = support::app_with(&[PLANS]).await;
    away_from_borders(&app);
    app.database
        .connect()
        .await
        .batch_execute("UPDATE plans SET daily_request_limit = 4 WHERE plan_type = 'free'")
        .await
        .unwrap();
    let user = app.register_user().await;
    let test_key = app.post_as(&user.key, "/user/api-keys", json!({"key_name": "t", "environment_tag": "test"})).await.json();
    let test = TestUser { key: test_key["api_key"].as_str().unwrap().to_owned(), ..user.clone() };
    assert_eq!((ask(&app, &test).await.status, ask(&app, &test).await.status), (200, 200));
    let refused = ask(&app, &test).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["detail"], "Plan limit exceeded: Daily request limit exceeded (2) for test environment");
    assert_eq!(refused.json()["error"]["code"], "plan_limit_exceeded");
    assert_eq!(refused.header("x-should-retry"), "false");
    assert!(refused.header("retry-after").parse::<i64>().unwrap() > 0);
    assert_eq!((ask(&app, &user).await.status, ask(&app, &user).await.status), (200, 200));
    let refused = ask(&app, &user).await;
    assert_eq!(refused.json()["detail"], "Plan limit exceeded: Daily request limit exceeded (4) for live environment");
    app.clock.advance(Duration::from_secs(86_400));
    assert_eq!(ask(&app, &user).await.status, 200, "a new day");
}

#[actix_web::test]
async fn who_is_refused_by_a_plan_sees_it_in_the_headers_and_on_the_limit_page() {
    let app = support::app_with(&[PLANS]).await;
    away_from_borders(&app);
    app.database
        .connect()
        .await
        .batch_execute("UPDATE plans SET daily_request_limit = 2, monthly_token_limit = 500 WHERE plan_type = 'free'")
        .await
        .unwrap();
    let user = app.register_user().await;
    let left = |reply: &Reply| {
        let header = |name: &str| reply.header(name).to_owned();
        (header("x-ratelimit-limit"), header("x-ratelimit-remaining"))
    };
    let first = ask(&app, &user).await;
    assert_eq!((first.status, left(&first)), (200, ("2".into(), "1".into())));
    let tokens = first.json()["gateway_usage"]["tokens_charged"].as_i64().unwrap();
    let tokens_left = first.header("x-ratelimit-remaining-tokens");
    assert_eq!((first.header("x-ratelimit-limit-tokens"), tokens_left), ("500", (500 - tokens).to_string().as_str()));
    let usage = async || app.get_as(&user.key, "/user/limit").await.json()["current_usage"].clone();
    assert_eq!(usage().await["allowed"], true);
    ask(&app, &user).await;
    let reason = "Plan limit exceeded: Daily request limit exceeded (2) for live environment";
    assert_eq!(usage().await, json!({"allowed": false, "reason": reason}));
    let refused = ask(&app, &user).await;
    assert_eq!((refused.status, left(&refused)), (429, ("2".into(), "0".into())));
    assert_eq!(refused.json()["detail"], reason);
}

#[actix_web::test]
async fn a_trial_ends_with_its_requests_its_tokens_or_its_time() {
    let app = support::app_with(&[("TRIAL_REQUESTS", "3"), ("TRIAL_TOKENS", "1000")]).await;
    let user = app.register_user().await;
    let calls = (0..10).map(|_| ask(&app, &user));
    let replies = futures_util::future::join_all(calls).await;
    // Mutant: a trial that is not reserved at admission lets more than three through.
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 3);
    let refused = ask(&app, &user).await;
    assert_eq!(
        (refused.status, refused.header("x-trial-remaining-requests"), refused.header("x-should-retry")),
        (429, "0", "false")
    );
    let charged: i64 = replies
        .iter()
        .filter(|reply| reply.status == 200)
        .map(|reply| reply.json()["gateway_usage"]["tokens_charged"].as_i64().unwrap())
        .sum();
    assert_eq!(refused.header("x-trial-remaining-tokens"), (1_000 - charged).to_string());
    assert!(refused.header("x-trial-remaining-credits").starts_with("9.99"), "{refused:?}");
    let other = app.register_user().await;
    let too_much = app.post_as(&other.key, CHAT, question(1_000)).await;
    assert_eq!((too_much.status, too_much.header("x-trial-remaining-tokens")), (429, "1000"));
    app.clock.advance(Duration::from_secs(3 * 86_400));
    let over = ask(&app, &other).await;
    assert_eq!((over.status, over.header("x-trial-expired")), (403, "true"));
    assert!(over.header("x-trial-end-date").starts_with("20"), "{over:?}");
    let paid = app.post_as(ADMIN_KEY, "/admin/add_credits", json!({"user_id": other.id, "credits": 1})).await;
    assert_eq!((paid.status, ask(&app, &other).await.status), (200, 200), "who pays is no longer on trial");
}

#[actix_web::test]
async fn a_trial_without_credits_is_402_and_uses_nothing_up() {
    let app = support::app_with(&[("TRIAL_REQUESTS", "3"), ("TRIAL_TOKENS", "1000"), ("SIGNUP_CREDITS_USD", "0")]).await;
    let user = app.register_user().await;
    for _ in 0..5 {
        assert_eq!(ask(&app, &user).await.status, 402);
    }
    let status = eventually("the calls have ended", async || {
        let status = app.get_as(&user.key, "/trial/status").await.json();
        (status["trial_status"]["requests_remaining"] == 3).then_some(status)
    })
    .await;
    assert_eq!(status["trial_status"]["tokens_remaining"], 1_000);
}

#[actix_web::test]
async fn the_trial_and_the_plans_are_shown() {
    let app = support::app_with(&[("TRIAL_REQUESTS", "1000"), ("TRIAL_TOKENS", "100000")]).await;
    let user = app.register_user().await;
    let mut status = app.get_as(&user.key, "/trial/status").await.json();
    assert!(status["trial_status"]["trial_end_date"].take().is_string());
    let expected = json!({"success": true, "message": "Trial is active", "trial_status": {
        "is_trial": true, "is_expired": false, "subscription_status": "trial", "trial_end_date": null, "days_remaining": 2,
        "max_tokens": 100_000, "tokens_remaining": 100_000, "max_requests": 1_000, "requests_remaining": 1_000,
        "credits_remaining": 10.0}});
    assert_eq!(status, expected);
    let plans = app.get("/subscription/plans").await.json();
    assert_eq!(
        plans["trial_info"],
        json!({"trial_days": 3, "trial_tokens": 100_000, "trial_requests": 1_000, "trial_credits": 10.0})
    );
    let of = |field: &str| plans["plans"].as_array().unwrap().iter().map(|plan| plan[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("plan_type"), ["free", "dev", "team", "customize"]);
    assert_eq!(of("monthly_price"), [0.0, 29.0, 99.0, 0.0]);
    assert_eq!(of("trial_eligible"), [true, false, false, false]);
    assert_eq!(plans["plans"][3]["price_per_token"], "0.00002");
}
