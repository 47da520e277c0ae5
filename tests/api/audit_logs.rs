//! `GET /user/api-keys/audit-logs`.

use crate::support::{self, ADMIN_KEY, Reply, TestApp, TestUser};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_actors::ports::Clock;

async fn logs(app: &TestApp, user: &TestUser, query: &str) -> Value {
    let reply = app.get_as(&user.key, &format!("/user/api-keys/audit-logs{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {reply:?}");
    reply.json()
}

/// The actions of the rows, newest first.
fn actions(answer: &Value) -> Vec<&str> {
    answer["logs"].as_array().unwrap().iter().map(|log| log["action"].as_str().unwrap()).collect()
}

async fn make_key(app: &TestApp, user: &TestUser, name: &str) -> i64 {
    app.post_as(&user.key, "/user/api-keys", json!({"key_name": name})).await.json()["id"].as_i64().unwrap()
}

async fn delete_key(app: &TestApp, user: &TestUser, key: i64) {
    assert_eq!(app.delete_as(&user.key, &format!("/user/api-keys/{key}"), json!({})).await.status, 200);
}

#[actix_web::test]
async fn a_row_tells_what_was_done_by_whom_and_when_newest_first() {
    let app = support::app().await;
    let user = app.register_user().await;
    let key = make_key(&app, &user, "second").await;
    app.clock.advance(Duration::from_secs(60));
    delete_key(&app, &user, key).await;
    let mut answer = logs(&app, &user, "").await;
    let rows = answer["logs"].as_array_mut().unwrap();
    let ids: Vec<i64> = rows.iter_mut().map(|row| row["id"].take().as_i64().unwrap()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    let time = |row: &mut Value| row["timestamp"].take().as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let times: Vec<_> = rows.iter_mut().map(time).collect();
    assert!((TimeDelta::seconds(60)..TimeDelta::seconds(90)).contains(&(times[0] - times[1])), "{times:?}");
    let deleted_at: DateTime<Utc> = rows[0]["details"]["deleted_at"].take().as_str().unwrap().parse().unwrap();
    assert_eq!(deleted_at.timestamp_micros(), times[0].timestamp_micros());
    let everything = json!({"read": ["*"], "write": ["*"], "admin": ["*"]});
    let primary = rows[2]["api_key_id"].take();
    assert!(primary.is_i64());
    let details = |name: &str, is_primary: bool| {
        json!({"key_name": name, "environment_tag": "live", "scope_permissions": everything, "expiration_days": null,
            "max_requests": null, "is_primary": is_primary, "is_session": false, "ip_allowlist": [], "domain_referrers": [], "allowed_models": [],
            "budget_usd": null, "budget_period": null})
    };
    let row = |key: Value, action: &str, details: Value| {
        json!({"id": null, "user_id": user.id, "api_key_id": key, "action": action, "details": details, "timestamp": null,
            "actor": "owner"})
    };
    let expected = json!({
        "status": "success", "total_logs": 3, "phase4_integration": true, "security_features_enabled": true,
        "logs": [
            row(json!(key), "delete", json!({"deleted_at": null, "key_name": "second", "environment_tag": "live"})),
            row(json!(key), "create", details("second", false)),
            row(Value::Null, "create", details("Primary Key", true)),
        ],
    });
    assert_eq!(answer, expected);
}

#[actix_web::test]
async fn every_filter_narrows_and_the_total_is_that_of_the_filter() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    let one = make_key(&app, &user, "one").await;
    app.clock.advance(Duration::from_secs(86_400));
    let two = make_key(&app, &user, "two").await;
    let second_day = app.clock.now();
    delete_key(&app, &user, one).await;
    make_key(&app, &other, "not mine").await;
    let of = async |query: &str| {
        let answer = logs(&app, &user, query).await;
        let actions: Vec<String> = actions(&answer).into_iter().map(str::to_owned).collect();
        (actions.join(" "), answer["total_logs"].as_i64().unwrap())
    };
    assert_eq!(of("").await, ("delete create create create".to_owned(), 4));
    assert_eq!(of(&format!("?key_id={one}")).await, ("delete create".to_owned(), 2), "also of a key that is gone");
    assert_eq!(of(&format!("?key_id={two}&action=create")).await, ("create".to_owned(), 1));
    assert_eq!(of("?action=delete").await, ("delete".to_owned(), 1));
    assert_eq!(of("?action=CREATE").await, (String::new(), 0), "exact");
    assert_eq!(of("?action=&start_date=&end_date=").await.1, 4, "an empty filter is none");
    let (day, before) = (second_day.date_naive(), second_day.date_naive().pred_opt().unwrap());
    assert_eq!(of(&format!("?start_date={day}")).await.1, 2);
    assert_eq!(of(&format!("?end_date={before}")).await, ("create create".to_owned(), 2), "a day is meant to its end");
    assert_eq!(of(&format!("?start_date={before}&end_date={day}")).await.1, 4);
    let deleted = logs(&app, &user, "?action=delete").await["logs"][0]["timestamp"].clone();
    let exact = deleted.as_str().unwrap();
    assert_eq!(of(&format!("?start_date={exact}&end_date={exact}")).await.1, 1, "both ends are included");
    assert_eq!(of("?limit=1").await, ("delete".to_owned(), 4), "the total is not the page's");
    assert_eq!(of("?limit=1&action=create").await, ("create".to_owned(), 3));
    let others: Vec<i64> =
        logs(&app, &other, "").await["logs"].as_array().unwrap().iter().map(|log| log["user_id"].as_i64().unwrap()).collect();
    assert_eq!(others, [other.id, other.id]);
    assert_eq!(logs(&app, &other, &format!("?key_id={one}")).await["total_logs"], 0, "another's key has no rows");
}

#[actix_web::test]
async fn the_limit_is_a_hundred_unless_told_and_has_bounds() {
    let app = support::app().await;
    let user = app.register_user().await;
    let rows = "INSERT INTO api_key_audit_logs (user_id, action) SELECT $1, 'update' FROM generate_series(1, 150)";
    app.database.connect().await.execute(rows, &[&user.id]).await.unwrap();
    for (query, shown) in [("", 100), ("?limit=150", 150), ("?limit=1000", 151), ("?limit=1", 1)] {
        let answer = logs(&app, &user, query).await;
        assert_eq!((actions(&answer).len(), &answer["total_logs"]), (shown, &json!(151)), "{query}");
    }
    for limit in ["0", "-1", "1001", "many", "99999999999999999999"] {
        let reply = app.get_as(&user.key, &format!("/user/api-keys/audit-logs?limit={limit}")).await;
        assert_eq!((reply.status, &reply.json()["detail"][0]["loc"]), (422, &json!(["query", "limit"])), "{limit}");
    }
}

#[actix_web::test]
async fn dates_that_are_none_are_400_in_the_contracts_words() {
    let app = support::app().await;
    let user = app.register_user().await;
    for name in ["start_date", "end_date"] {
        for wrong in ["yesterday", "2025-02-30", "01/02/2025", "1763812800"] {
            let reply = app.get_as(&user.key, &format!("/user/api-keys/audit-logs?{name}={wrong}")).await;
            let text = format!("Invalid {name} format. Use ISO format.");
            assert_eq!((reply.status, reply.json()), (400, json!({"detail": text})), "{wrong}");
        }
    }
    assert_eq!(app.get_as(&user.key, "/user/api-keys/audit-logs?key_id=mine").await.status, 422);
    assert_eq!(app.get_as(&user.key, "/user/api-keys/audit-logs?action=%00").await.status, 422);
}

#[actix_web::test]
async fn what_others_did_to_the_account_is_told_with_their_name() {
    let app = support::app().await;
    let (user, boss) = (app.register_user().await, app.register_user().await);
    app.database.connect().await.execute("UPDATE users SET is_admin = true WHERE id = $1", &[&boss.id]).await.unwrap();
    let credits = json!({"user_id": user.id, "credits": 2.5, "reason": "sorry"});
    assert_eq!(app.post_as(ADMIN_KEY, "/admin/add_credits", credits).await.status, 200);
    let limits = json!({"user_id": user.id, "rate_limits": {"requests_per_minute": 7}});
    support::eventually("the administrator", async || {
        (app.post_as(&boss.key, "/admin/limit", limits.clone()).await.status == 200).then_some(())
    })
    .await;
    let plan = json!({"user_id": user.id, "plan_id": 2});
    assert_eq!(app.post_as(&boss.key, "/admin/assign-plan", plan).await.status, 200);
    let put =
        app.request(Method::PUT, "/user/profile").bearer_auth(&user.key).json(&json!({"name": "Ada", "settings": {"a": 1}}));
    assert_eq!(Reply::of(put).await.status, 200);
    let answer = logs(&app, &user, "").await;
    let told: Vec<_> = answer["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|log| (log["action"].as_str().unwrap(), log["actor"].as_str().unwrap()))
        .collect();
    let admin = format!("admin {}", boss.id);
    let expected = [
        ("update_profile", "owner"),
        ("assign_plan", admin.as_str()),
        ("update", admin.as_str()),
        ("add_credits", "operator"),
        ("create", "owner"),
    ];
    assert_eq!(told, expected);
    let details = |row: usize| &answer["logs"][row]["details"];
    assert_eq!((&details(3)["credits"], &details(3)["reason"]), (&json!(2.5), &json!("sorry")));
    assert_eq!(details(2)["new_values"]["requests_per_minute"], 7);
    assert_eq!((&details(1)["plan_id"], &details(1)["plan_name"]), (&json!(2), &json!("Dev")));
    let profile = json!({"updated_fields": ["name", "settings"], "old_values": {"name": null}, "new_values": {"name": "Ada"}});
    for field in ["updated_fields", "old_values", "new_values"] {
        assert_eq!(details(0)[field], profile[field]);
    }
    assert_eq!(app.post_as(ADMIN_KEY, "/admin/refresh-models", json!({})).await.status, 200);
    assert_eq!(
        app.database.number("SELECT count(*) FROM api_key_audit_logs WHERE user_id IS NULL AND action = 'refresh_models' AND actor = 'operator'").await,
        1,
        "an act on the whole house is no user's"
    );
}
