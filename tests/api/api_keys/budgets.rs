//! What a key may spend: at the completions, in the list, in `/v1/key`, and when its period ends.

use super::create;
use super::text;
use super::update::{put, updated, with_key};
use crate::support::books::assert_clean;
use crate::support::{self, Reply, TestApp, eventually};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_actors::ports::Clock;

const DAY: Duration = Duration::from_secs(86_400);

/// Holds and costs $0.1 to the nano-dollar.
async fn dime(app: &TestApp, key: &str) -> Reply {
    spend(app, key, 100).await
}

/// So many thousandths of a dollar.
async fn spend(app: &TestApp, key: &str, max_tokens: i64) -> Reply {
    let body = json!({"model": "sim/dime", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": max_tokens});
    app.post_as(key, "/v1/chat/completions", body).await
}

/// The budget in the list of keys, without its times.
async fn listed(app: &TestApp, key: &str, id: &Value) -> Value {
    let list = app.get_as(key, "/user/api-keys").await.json();
    let mut budget = list["keys"].as_array().unwrap().iter().find(|key| key["id"] == *id).unwrap()["budget"].clone();
    budget.as_object_mut().unwrap().retain(|field, _| !field.ends_with("_at"));
    budget
}

fn budget(limit: f64, period: &str, spent: f64, remaining: f64) -> Value {
    json!({"limit_usd": limit, "period": period, "spent_usd": spent, "held_usd": 0.0, "remaining_usd": remaining})
}

/// To ten past midnight of a Tuesday that is the 1st: a month and a day begin, a week does not.
fn to_a_tuesday_the_first(app: &TestApp) {
    use chrono::{Datelike, Weekday};
    let mut day = app.clock.now().date_naive().succ_opt().unwrap();
    while (day.day(), day.weekday()) != (1, Weekday::Tue) {
        day = day.succ_opt().unwrap();
    }
    let moment = day.and_hms_opt(0, 10, 0).unwrap().and_utc();
    app.clock.advance((moment - app.clock.now()).to_std().unwrap());
}

#[actix_web::test]
async fn a_budget_for_three_calls_serves_three_and_names_itself_to_the_fourth() {
    let app = support::app().await;
    to_a_tuesday_the_first(&app);
    let (user, id, key) = with_key(&app, json!({"budget_usd": 0.35, "budget_period": "daily"})).await;
    for _ in 0..3 {
        assert_eq!(dime(&app, &key).await.status, 200);
    }
    let refused = dime(&app, &key).await;
    let error = &refused.json()["error"];
    let midnight = (app.clock.now() + chrono::TimeDelta::days(1)).format("%Y-%m-%dT00:00:00Z");
    let message = format!(
        "The daily budget of the API key 'ci', $0.35, is used up. Required: $0.1, Available: $0.05. It is full again at {midnight}"
    );
    assert_eq!((refused.status, &error["message"], &error["type"]), (402, &json!(message), &json!("insufficient_quota")));
    assert_eq!(error["code"], "key_budget_exceeded");
    // As for a balance, what is left is used where the request leaves room.
    let smaller = spend(&app, &key, 40).await;
    assert_eq!(smaller.status, 200);
    assert_eq!(listed(&app, &user.key, &id).await, budget(0.35, "daily", 0.34, 0.01));
    let shown = app.get_as(&key, "/v1/key").await.json()["data"].take();
    assert_eq!(
        (&shown["limit"], &shown["limit_remaining"], &shown["limit_reset"]),
        (&json!(0.35), &json!(0.01), &json!("daily"))
    );
    let free = json!({"model": "meta-llama/llama-3.1-8b-instruct:free", "messages": [{"role": "user", "content": "Hi"}]});
    assert_eq!(spend(&app, &key, 10).await.status, 200);
    assert_eq!(app.post_as(&key, "/v1/chat/completions", free).await.status, 200, "what is free needs no budget");
    assert_eq!(dime(&app, &user.key).await.status, 200, "the user's other keys have none");
    assert_clean(&app).await;
}

#[actix_web::test]
async fn a_limit_on_tokens_is_lowered_to_what_the_budget_affords() {
    let app = support::app().await;
    let (_, _, key) = with_key(&app, json!({"budget_usd": 0.4})).await;
    let reply = spend(&app, &key, 1_000).await;
    assert_eq!((reply.status, reply.json()["usage"]["completion_tokens"].clone()), (200, json!(400)), "{reply:?}");
    assert_eq!(spend(&app, &key, 1).await.status, 402);
    assert_clean(&app).await;
}

// Mutant, red: the period's start not looked at in `Budgets::get` (the first period's sub-account for ever).
#[actix_web::test]
async fn a_budget_is_full_again_when_its_period_begins() {
    let settings = [("TRIAL_DAYS", "0"), ("SIGNUP_CREDITS_USD", "100")];
    let app = support::app_with(&settings).await;
    to_a_tuesday_the_first(&app);
    let user = app.register_user().await;
    let mut keys = Vec::new();
    for period in ["daily", "weekly", "monthly", "total"] {
        let made = create(&app, &user.key, json!({"key_name": period, "budget_usd": 0.1, "budget_period": period})).await;
        keys.push((period, text(&made["api_key"]).to_owned(), made["id"].clone()));
    }
    let served = async || {
        let mut served = Vec::new();
        for (period, key, _) in &keys {
            let status = dime(&app, key).await.status;
            assert!([200, 402].contains(&status), "{status}");
            if status == 200 {
                served.push(*period);
            }
        }
        served
    };
    assert_eq!(served().await, ["daily", "weekly", "monthly", "total"]);
    assert!(served().await.is_empty());
    app.clock.advance(DAY);
    assert_eq!(served().await, ["daily"], "Wednesday the 2nd");
    app.clock.advance(5 * DAY);
    assert_eq!(served().await, ["daily", "weekly"], "Monday the 7th");
    app.clock.advance(31 * DAY);
    assert_eq!(served().await, ["daily", "weekly", "monthly"], "the next month, another week");
    let (_, key, id) = &keys[3];
    assert_eq!(listed(&app, &user.key, id).await, budget(0.1, "total", 0.1, 0.0));
    let shown = app.get_as(key, "/v1/key").await.json()["data"].take();
    assert_eq!((&shown["limit"], &shown["limit_remaining"], &shown["limit_reset"]), (&json!(0.1), &json!(0.0), &Value::Null));
    assert_clean(&app).await;
}

// Mutant, red: `budgets::change_limit` not called.
#[actix_web::test]
async fn another_limit_keeps_what_is_spent_and_another_period_begins_a_new_count() {
    let app = support::app().await;
    to_a_tuesday_the_first(&app);
    let (user, id, key) = with_key(&app, json!({"budget_usd": 0.2, "budget_period": "monthly"})).await;
    assert_eq!([dime(&app, &key).await.status, dime(&app, &key).await.status, dime(&app, &key).await.status], [200, 200, 402]);
    updated(&app, &user.key, &id, json!({"budget_usd": 0.3})).await;
    assert_eq!([dime(&app, &key).await.status, dime(&app, &key).await.status], [200, 402]);
    updated(&app, &user.key, &id, json!({"budget_usd": 0.1})).await;
    assert_eq!(dime(&app, &key).await.status, 402);
    assert_eq!(listed(&app, &user.key, &id).await, budget(0.1, "monthly", 0.3, 0.0), "spent is spent");
    updated(&app, &user.key, &id, json!({"budget_period": "daily"})).await;
    assert_eq!(listed(&app, &user.key, &id).await, budget(0.1, "daily", 0.0, 0.1));
    assert_eq!([dime(&app, &key).await.status, dime(&app, &key).await.status], [200, 402]);
    updated(&app, &user.key, &id, json!({"budget_usd": null})).await;
    assert_eq!(dime(&app, &key).await.status, 200);
    updated(&app, &user.key, &id, json!({"budget_usd": 0.1})).await;
    assert_eq!(listed(&app, &user.key, &id).await, budget(0.1, "total", 0.0, 0.1));
    assert_eq!([dime(&app, &key).await.status, dime(&app, &key).await.status], [200, 402]);
    assert_clean(&app).await;
}

/// The key may be gone when its call ends: the books know it still.
#[actix_web::test]
async fn a_rotated_key_keeps_its_budget_and_a_deleted_keys_budget_stays_in_the_books() {
    let app = support::app().await;
    let (user, id, old) = with_key(&app, json!({"budget_usd": 0.2})).await;
    assert_eq!(dime(&app, &old).await.status, 200);
    let key = updated(&app, &user.key, &id, json!({"action": "rotate"})).await;
    let new = text(&key["api_key"]);
    assert_eq!([dime(&app, new).await.status, dime(&app, &old).await.status, dime(&app, new).await.status], [200, 402, 402]);
    assert_eq!(app.delete_as(&user.key, &format!("/user/api-keys/{id}"), json!({})).await.status, 200);
    let report = assert_clean(&app).await;
    assert_eq!(report.settled_holds, 2);
}

/// 1,000 calls at once on a budget for ten: what is not covered is refused, and what is covered is served.
#[actix_web::test]
async fn of_a_thousand_calls_at_once_on_a_budget_for_ten_exactly_ten_are_served() {
    let app = support::app().await;
    to_a_tuesday_the_first(&app);
    let (user, id, key) = with_key(&app, json!({"budget_usd": 1, "budget_period": "weekly"})).await;
    // Fewer at a time than the ledger's line takes before it turns callers away on a slow machine.
    let replies: Vec<Reply> = stream::iter(0..1_000).map(|_| dime(&app, &key)).buffer_unordered(400).collect().await;
    let served = replies.iter().filter(|reply| reply.status == 200).count();
    assert!(replies.iter().all(|reply| [200, 402].contains(&reply.status)));
    assert_eq!(served, 10);
    assert_eq!(listed(&app, &user.key, &id).await, budget(1.0, "weekly", 1.0, 0.0));
    assert_eq!(app.database.number("SELECT count(*) FROM key_budgets").await, 1, "one sub-account for all who came first");
    assert_clean(&app).await;
}

/// Limits that change while calls run: never more than the highest, and in the end exactly the last.
#[actix_web::test]
async fn a_limit_that_changes_under_load_is_never_passed() {
    let app = support::app().await;
    let (user, id, key) = with_key(&app, json!({"budget_usd": 0.5})).await;
    let change = async {
        for limit in [0.3, 0.8, 0.6, 1.0] {
            assert_eq!(put(&app, &user.key, &id, json!({"budget_usd": limit})).await.status, 200);
        }
    };
    let (replies, ()) = futures_util::join!(join_all((0..120).map(|_| dime(&app, &key))), change);
    let mut served = replies.iter().filter(|reply| reply.status == 200).count();
    while dime(&app, &key).await.status == 200 {
        served += 1;
    }
    assert_eq!(served, 10);
    eventually("the budget is spent", async || {
        (listed(&app, &user.key, &id).await == budget(1.0, "total", 1.0, 0.0)).then_some(())
    })
    .await;
    assert_clean(&app).await;
}
