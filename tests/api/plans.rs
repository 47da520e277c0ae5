//! The plans' doors.

use crate::support::{self, ADMIN_KEY, TestApp, TestUser};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_actors::ports::Clock;

const MONTH: Duration = Duration::from_secs(30 * 86_400);

async fn assign(app: &TestApp, user: &TestUser, plan: &str) {
    let plans = app.get("/plans").await.json();
    let id = plans.as_array().unwrap().iter().find(|row| row["plan_type"] == plan).unwrap()["id"].clone();
    let reply = app.post_as(ADMIN_KEY, "/admin/assign-plan", json!({"user_id": user.id, "plan_id": id})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

async fn entitlements(app: &TestApp, user: &TestUser, query: &str) -> Value {
    app.get_as(&user.key, &format!("/user/plan/entitlements{query}")).await.json()
}

fn limits(body: &Value) -> [i64; 4] {
    ["daily_request_limit", "monthly_request_limit", "daily_token_limit", "monthly_token_limit"]
        .map(|name| body[name].as_i64().unwrap())
}

#[actix_web::test]
async fn the_four_plans_are_a_bare_list_in_their_order() {
    let app = support::app().await;
    let plans = app.get("/plans").await.json();
    let plans = plans.as_array().unwrap();
    let shown: Vec<_> =
        plans.iter().map(|plan| (plan["plan_type"].as_str().unwrap(), plan["name"].as_str().unwrap(), limits(plan))).collect();
    assert_eq!(
        shown,
        [
            ("free", "Free", [1_000, 10_000, 100_000, 1_000_000]),
            ("dev", "Dev", [10_000, 300_000, 1_000_000, 10_000_000]),
            ("team", "Team", [50_000, 1_500_000, 5_000_000, 50_000_000]),
            ("customize", "Customize", [1_000_000, 30_000_000, 100_000_000, 1_000_000_000]),
        ]
    );
    let money: Vec<_> = plans
        .iter()
        .map(|plan| [&plan["price_per_month"], &plan["yearly_price"], &plan["price_per_token"]].map(Value::to_string))
        .collect();
    assert_eq!(
        money,
        [["0.0", "null", "null"], ["29.0", "290.0", "null"], ["99.0", "990.0", "null"], ["0.0", "null", "0.00002"]]
            .map(|row| row.map(str::to_owned))
    );
    let concurrent: Vec<_> = plans.iter().map(|plan| plan["max_concurrent_requests"].as_i64().unwrap()).collect();
    assert_eq!(concurrent, [5, 15, 50, 100]);
    for plan in plans {
        assert_eq!(plan["is_active"], true);
        assert_eq!(plan["is_pay_as_you_go"], plan["plan_type"] == "customize");
        assert!(plan["features"].as_array().unwrap().contains(&json!("basic_models")) && plan["description"].is_string());
        let alone = app.get(&format!("/plans/{}", plan["id"])).await;
        assert_eq!((alone.status, &alone.json()), (200, plan));
    }
}

#[actix_web::test]
async fn a_plan_that_does_not_exist_or_is_not_sold_is_404() {
    let app = support::app().await;
    for id in ["999", "0", "-1", "9223372036854775807"] {
        let reply = app.get(&format!("/plans/{id}")).await;
        assert_eq!((reply.status, reply.json()), (404, json!({"detail": "Plan not found"})), "{id}");
    }
    for id in ["x", "1.5", "9223372036854775808"] {
        assert_eq!(app.get(&format!("/plans/{id}")).await.status, 422, "{id}");
    }
    let database = app.database.connect().await;
    database.execute("UPDATE plans SET is_active = false WHERE plan_type = 'team'", &[]).await.unwrap();
    let left = app.get("/plans").await.json();
    assert_eq!(left.as_array().unwrap().len(), 3);
    assert_eq!(app.get("/plans/3").await.status, 404);
    database.execute("UPDATE plans SET is_active = false", &[]).await.unwrap();
    assert_eq!(app.get("/plans").await.json(), json!([]));
}

#[actix_web::test]
async fn features_that_an_operator_wrote_as_an_object_are_its_keys() {
    let app = support::app().await;
    let features = r#"{"basic_models": true, "own_thing": {"deep": 1}}"#;
    app.database
        .connect()
        .await
        .batch_execute(&format!("UPDATE plans SET features = '{features}' WHERE plan_type = 'free'"))
        .await
        .unwrap();
    assert_eq!(app.get("/plans").await.json()[0]["features"], json!(["own_thing", "basic_models"]));
}

#[actix_web::test]
async fn a_new_user_is_on_free_without_end() {
    let app = support::app().await;
    let user = app.register_user().await;
    let plan = app.get_as(&user.key, "/user/plan").await.json();
    assert_eq!((&plan["plan_name"], &plan["user_id"], &plan["is_active"]), (&json!("Free"), &json!(user.id), &json!(true)));
    assert_eq!((&plan["price_per_month"], &plan["features"]), (&json!(0.0), &json!(["basic_models"])));
    assert_eq!((limits(&plan), plan.get("end_date")), ([1_000, 10_000, 100_000, 1_000_000], Some(&Value::Null)));
    assert!(plan["user_plan_id"].is_i64() && plan["plan_id"].is_i64() && plan["plan_description"].is_string());
    assert!(plan["start_date"].as_str().unwrap().parse::<DateTime<Utc>>().is_ok());
    let allowed = entitlements(&app, &user, "").await;
    assert_eq!(
        (&allowed["has_plan"], &allowed["plan_name"], &allowed["can_access_feature"]),
        (&json!(true), &json!("Free"), &json!(true))
    );
    assert_eq!((&allowed["plan_expires"], &allowed["plan_expired"]), (&Value::Null, &json!(false)));
}

#[actix_web::test]
async fn an_assigned_plan_is_shown_with_its_end_and_allows_its_features() {
    let app = support::app().await;
    let user = app.register_user().await;
    assign(&app, &user, "dev").await;
    let plan = app.get_as(&user.key, "/user/plan").await.json();
    assert_eq!((&plan["plan_name"], &plan["price_per_month"]), (&json!("Dev"), &json!(29.0)));
    let [start, end] = ["start_date", "end_date"].map(|name| plan[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap());
    assert_eq!((end - start).num_days(), 30);
    for (query, can) in [("", true), ("?feature=", true), ("?feature=advanced_models", true), ("?feature=custom_limits", false)] {
        assert_eq!(entitlements(&app, &user, query).await["can_access_feature"], can, "{query}");
    }
    let allowed = entitlements(&app, &user, "").await;
    assert_eq!((limits(&allowed), &allowed["plan_expires"]), ([10_000, 300_000, 1_000_000, 10_000_000], &plan["end_date"]));
}

#[actix_web::test]
async fn a_plan_whose_time_is_over_is_ended_and_leaves_what_a_trial_had() {
    let app = support::app().await;
    let user = app.register_user().await;
    assign(&app, &user, "dev").await;
    let end = app.get_as(&user.key, "/user/plan").await.json()["end_date"].clone();
    app.clock.advance(MONTH - Duration::from_secs(60));
    assert_eq!(entitlements(&app, &user, "").await["plan_expired"], false);
    app.clock.advance(Duration::from_secs(61));
    // The second time the row is inactive already.
    for _ in 0..2 {
        let expired = entitlements(&app, &user, "?feature=advanced_models").await;
        assert_eq!(
            (&expired["has_plan"], &expired["plan_name"], &expired["plan_expired"]),
            (&json!(false), &json!("Expired"), &json!(true))
        );
        assert_eq!((limits(&expired), &expired["features"]), ([100, 1_000, 10_000, 100_000], &json!(["basic_models"])));
        assert_eq!((&expired["can_access_feature"], &expired["plan_expires"]), (&json!(false), &end));
    }
    assert_eq!(entitlements(&app, &user, "?feature=basic_models").await["can_access_feature"], true);
    let reply = app.get_as(&user.key, "/user/plan").await;
    assert_eq!((reply.status, reply.json()), (404, json!({"detail": "No active plan found"})));
    let usage = app.get_as(&user.key, "/user/plan/usage").await.json();
    assert_eq!((&usage["plan_name"], limits(&usage["limits"])), (&json!("Expired"), [100, 1_000, 10_000, 100_000]));
    let active = format!("SELECT count(*) FROM user_plans WHERE user_id = {} AND is_active", user.id);
    assert_eq!(app.database.number(&active).await, 0);
    support::eventually("the status is known", async || {
        (app.get_as(&user.key, "/user/balance").await.json()["status"] == "expired").then_some(())
    })
    .await;
    assign(&app, &user, "team").await;
    let again = entitlements(&app, &user, "").await;
    assert_eq!((&again["plan_name"], &again["plan_expired"]), (&json!("Team"), &json!(false)));
}

#[actix_web::test]
async fn a_user_without_any_plan_has_what_a_trial_has() {
    let app = support::app().await;
    let user = app.register_user().await;
    app.database.connect().await.execute("DELETE FROM user_plans WHERE user_id = $1", &[&user.id]).await.unwrap();
    assert_eq!(app.get_as(&user.key, "/user/plan").await.status, 404);
    let trial = json!({
        "has_plan": false, "plan_name": "Trial", "daily_request_limit": 100, "monthly_request_limit": 1_000, "daily_token_limit": 10_000,
        "monthly_token_limit": 100_000, "features": ["basic_models"], "can_access_feature": true, "plan_expires": null, "plan_expired": null,
    });
    assert_eq!(entitlements(&app, &user, "").await, trial);
    assert_eq!(app.get_as(&user.key, "/user/plan/usage").await.json()["plan_name"], "Trial");
}

/// A call of so many tokens, settled at that time and not yet summed.
async fn insert_call(app: &TestApp, user: i64, at: DateTime<Utc>, tokens: i64) {
    let insert = format!(
        "INSERT INTO usage_records VALUES ('{at}', 0, 0, 0, gen_random_uuid(), {user}, 0, 'm', 'openrouter', {tokens}, 1,
            0, 0, 0, 0, 0, 0, false, false, 'stop')"
    );
    app.database.connect().await.batch_execute(&insert).await.unwrap();
}

/// Two calls of a day before, as its sums have them.
async fn insert_sum(app: &TestApp, user: i64, at: DateTime<Utc>, tokens: i64) {
    let day = at.date_naive();
    let insert = format!("INSERT INTO activity_daily VALUES ({user}, '{day}', 1, 'm', 'p', 5, 2, {tokens}, 1, 0)");
    app.database.connect().await.batch_execute(&insert).await.unwrap();
}

#[actix_web::test]
async fn usage_is_counted_from_the_calls_of_the_utc_day_and_month() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    let call = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8});
    for _ in 0..2 {
        assert_eq!(app.post_as(&user.key, "/v1/chat/completions", call.clone()).await.status, 200);
    }
    let usage = app.get_as(&user.key, "/user/plan/usage").await.json();
    let counted = json!({"daily_requests": 2, "daily_tokens": 20, "monthly_requests": 2, "monthly_tokens": 20});
    assert_eq!((&usage["plan_name"], &usage["usage"]), (&json!("Free"), &counted));
    assert_eq!(
        usage["remaining"],
        json!({"daily_requests": 998, "daily_tokens": 99_980, "monthly_requests": 9_998, "monthly_tokens": 999_980})
    );
    assert_eq!(
        usage["at_limit"],
        json!({"daily_requests": false, "daily_tokens": false, "monthly_requests": false, "monthly_tokens": false})
    );
    assert_eq!(limits(&usage["limits"]), [1_000, 10_000, 100_000, 1_000_000]);
    assert_eq!(app.get_as(&other.key, "/user/plan/usage").await.json()["usage"]["monthly_requests"], 0);
}

#[actix_web::test]
async fn the_windows_begin_at_midnight_and_on_the_first_and_remaining_is_never_negative() {
    let app = support::app().await;
    let user = app.register_user().await;
    // The fifteenth of next month, at noon: the month's and the day's begin are both in the past then.
    let now = app.clock.now();
    let noon =
        (now + chrono::Months::new(1)).date_naive().format("%Y-%m-15T12:00:00Z").to_string().parse::<DateTime<Utc>>().unwrap();
    app.clock.advance((noon - now).to_std().unwrap());
    let at = |text: &str| noon.date_naive().format(text).to_string().parse::<DateTime<Utc>>().unwrap();
    let month = at("%Y-%m-01T00:00:00Z");
    for (time, tokens) in [(at("%Y-%m-15T00:00:00Z"), 60_000), (at("%Y-%m-15T11:59:59Z"), 50_000), (at("%Y-%m-14T23:59:59Z"), 7)]
    {
        insert_call(&app, user.id, time, tokens).await;
    }
    // Today's sum and last month's are not read.
    for (day, tokens) in [(at("%Y-%m-14T12:00:00Z"), 300), (month, 20), (month - chrono::TimeDelta::days(1), 1), (noon, 4)] {
        insert_sum(&app, user.id, day, tokens).await;
    }
    let usage = app.get_as(&user.key, "/user/plan/usage").await.json();
    let counted = json!({"daily_requests": 2, "daily_tokens": 110_002, "monthly_requests": 6, "monthly_tokens": 110_324});
    assert_eq!(usage["usage"], counted);
    assert_eq!((&usage["remaining"]["daily_tokens"], &usage["at_limit"]["daily_tokens"]), (&json!(0), &json!(true)));
    assert_eq!(usage["at_limit"]["monthly_tokens"], false);
}

#[actix_web::test]
async fn the_doors_of_the_callers_plan_want_a_key() {
    let app = support::app().await;
    for door in ["/user/plan", "/user/plan/usage", "/user/plan/entitlements"] {
        assert_eq!(app.get(door).await.status, 401, "{door}");
        assert_eq!(app.get_as("gw_live_wrong", door).await.status, 401, "{door}");
    }
}
