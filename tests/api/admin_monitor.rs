//! `GET /admin/monitor`.

use crate::support::{self, ADMIN_KEY, TestApp, TestUser, eventually};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_actors::ports::Clock;
use tollgate_store::{Folded, activity};

async fn data(app: &TestApp) -> Value {
    let reply = app.get_as(ADMIN_KEY, "/admin/monitor").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = reply.json();
    assert_eq!(body["status"], "success");
    assert!(chrono::DateTime::parse_from_rfc3339(body["timestamp"].as_str().unwrap()).is_ok());
    body["data"].clone()
}

/// Calls that are in the sums; each is of 6 tokens: 1 asked, 5 answered.
async fn calls(app: &TestApp, user: &TestUser, model: &str, count: i64) {
    let before = data(app).await["system_usage_metrics"]["total_requests"].as_i64().unwrap();
    for _ in 0..count {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5});
        let reply = app.post_as(&user.key, "/v1/chat/completions", body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    // Upkeep does it every few seconds.
    while activity::fold(&app.services.store, app.clock.now()).await.unwrap() == Folded::More {}
    eventually("the calls are summed", async || {
        (data(app).await["system_usage_metrics"]["total_requests"] == before + count).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn a_house_without_calls_shows_zeros() {
    let app = support::app().await;
    app.register_user().await;
    let expected = json!({
        "total_users": 1, "active_users_today": 0, "total_requests_today": 0, "total_tokens_today": 0, "total_cost_today": 0.0,
        "system_usage_metrics": {
            "total_requests": 0, "total_tokens": 0, "total_cost": 0.0, "requests_today": 0, "tokens_today": 0, "cost_today": 0.0,
            "requests_this_month": 0, "tokens_this_month": 0, "cost_this_month": 0.0, "average_tokens_per_request": 0.0,
            "most_used_model": "No models used", "last_request_time": null,
        },
        "top_users_by_usage": [], "recent_activity": [],
    });
    assert_eq!(data(&app).await, expected);
}

#[actix_web::test]
async fn the_numbers_are_those_of_all_users_by_day_and_by_thirty_days() {
    let app = support::app().await;
    let (ada, eve) = (app.register_user().await, app.register_user().await);
    for user in [&ada, &eve] {
        // A trial would be over by then.
        app.post_as(ADMIN_KEY, "/admin/add_credits", json!({"user_id": user.id, "credits": 1})).await;
    }
    calls(&app, &ada, "openai/gpt-4o-mini", 3).await;
    app.clock.advance(Duration::from_secs(40 * 86_400));
    calls(&app, &ada, "openai/gpt-4o-mini", 1).await;
    app.clock.advance(Duration::from_secs(2 * 86_400));
    calls(&app, &eve, "sim/dime", 2).await;
    let mut shown = data(&app).await;
    let masked = |user: &TestUser| format!("{}...", &user.key[..10]);
    let recent = shown["recent_activity"].take();
    let recent: Vec<_> = recent
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (call["api_key"].clone(), call["user_id"].clone(), call["model"].clone(), call["tokens_used"].clone()))
        .collect();
    let of = |user: &TestUser, model: &str, tokens: i64| (json!(masked(user)), json!(user.id), json!(model), json!(tokens));
    let (mini, dime) = (of(&ada, "openai/gpt-4o-mini", tokens(&shown, &ada) / 4), of(&eve, "sim/dime", tokens(&shown, &eve) / 2));
    assert_eq!(recent, [dime.clone(), dime, mini.clone(), mini.clone(), mini.clone(), mini]);
    assert!(
        chrono::DateTime::parse_from_rfc3339(shown["system_usage_metrics"]["last_request_time"].take().as_str().unwrap()).is_ok()
    );
    let (all_mini, all_dime) = (tokens(&shown, &ada), tokens(&shown, &eve));
    let cost = |user: &TestUser| row(&shown, user)["cost"].as_f64().unwrap();
    let (mini_cost, dime_cost) = (cost(&ada), cost(&eve));
    let average = (f64::from(i32::try_from(all_mini + all_dime).unwrap()) / 6.0 * 100.0).round() / 100.0;
    let nine = |dollars: f64| (dollars * 1e9).round() / 1e9;
    let top = [(&ada, all_mini, mini_cost, 4), (&eve, all_dime, dime_cost, 2)];
    let mut top: Vec<_> = top.into_iter().map(|(user, tokens, cost, requests)| {
        json!({"api_key": masked(user), "user_id": user.id, "tokens_used": tokens, "cost": cost, "requests": requests})
    }).collect();
    top.sort_by_key(|row| -row["tokens_used"].as_i64().unwrap());
    let expected = json!({
        "total_users": 2, "active_users_today": 1, "total_requests_today": 2, "total_tokens_today": all_dime,
        "total_cost_today": nine(dime_cost),
        "system_usage_metrics": {
            "total_requests": 6, "total_tokens": all_mini + all_dime, "total_cost": nine(mini_cost + dime_cost),
            "requests_today": 2, "tokens_today": all_dime, "cost_today": nine(dime_cost),
            "requests_this_month": 3, "tokens_this_month": all_mini / 4 + all_dime,
            "cost_this_month": nine(mini_cost / 4.0 + dime_cost), "average_tokens_per_request": average,
            "most_used_model": "sim/dime", "last_request_time": null,
        },
        "top_users_by_usage": top, "recent_activity": null,
    });
    assert_eq!(shown, expected);
}

fn row<'a>(data: &'a Value, user: &TestUser) -> &'a Value {
    data["top_users_by_usage"].as_array().unwrap().iter().find(|row| row["user_id"] == user.id).unwrap()
}

fn tokens(data: &Value, user: &TestUser) -> i64 {
    row(data, user)["tokens_used"].as_i64().unwrap()
}

#[actix_web::test]
async fn ten_keys_and_twenty_calls_are_named_and_a_deleted_key_has_no_name() {
    let app = support::app().await;
    let users = futures_util::future::join_all((0..12).map(|_| app.register_user())).await;
    for (at, user) in users.iter().enumerate() {
        calls(&app, user, "openai/gpt-4o-mini", if at == 0 { 12 } else { 1 }).await;
    }
    let shown = data(&app).await;
    assert_eq!((shown["total_users"].as_i64(), shown["active_users_today"].as_i64()), (Some(12), Some(12)));
    assert_eq!(shown["recent_activity"].as_array().unwrap().len(), 20);
    let top = shown["top_users_by_usage"].as_array().unwrap();
    assert_eq!((top.len(), &top[0]["user_id"], &top[0]["requests"]), (10, &json!(users[0].id), &json!(12)));
    let gone = "DELETE FROM api_keys WHERE user_id = $1";
    app.database.connect().await.execute(gone, &[&users[0].id]).await.unwrap();
    let top = data(&app).await["top_users_by_usage"][0].clone();
    assert_eq!((&top["api_key"], &top["user_id"]), (&Value::Null, &json!(users[0].id)));
}
