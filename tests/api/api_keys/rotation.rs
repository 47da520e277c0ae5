//! `PUT /user/api-keys/{key_id}` with `rotate` and `bulk_rotate` (promise K4).

use super::update::{put, updated, with_key};
use super::{create, text};
use crate::support::{self, TestApp, eventually};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tollgate_actors::ports::Clock;

const HOUR: Duration = Duration::from_secs(3_600);

async fn works(app: &TestApp, secret: &str) -> u16 {
    let reply = app.get_as(secret, "/user/balance").await;
    if reply.status == 401 {
        assert!(["Invalid API key", "API key has expired"].contains(&text(&reply.json()["detail"])), "{reply:?}");
    }
    reply.status
}

fn time(value: &Value) -> DateTime<Utc> {
    text(value).parse().expect("a time")
}

/// Turns the clock to a moment.
fn turn_to(app: &TestApp, moment: DateTime<Utc>) {
    app.clock.advance((moment - app.clock.now()).to_std().expect("a moment to come"));
}

#[actix_web::test]
async fn a_rotation_answers_the_new_secret_once_and_shows_the_grace_of_the_old_one() {
    let app = support::app().await;
    let (user, id, old) = with_key(&app, json!({"environment_tag": "staging"})).await;
    let mut answer = put(&app, &user.key, &id, json!({"action": "rotate"})).await.json();
    let new = text(&answer["updated_key"]["api_key"].take()).to_owned();
    assert!(new.starts_with("gw_staging_") && new.len() == old.len() && new != old);
    assert!(time(&answer["timestamp"].take()) <= app.clock.now());
    let key = &mut answer["updated_key"];
    for field in ["created_at", "updated_at", "scope_permissions", "security_status"] {
        assert!(!key[field].take().is_null(), "{field}");
    }
    let rotation = key["rotation"].take();
    let expected = json!({
        "status": "success", "message": "API key rotated successfully with new key generated",
        "updated_key": {
            "id": id, "api_key": null, "last4": new[new.len() - 4..], "key_name": "ci", "environment_tag": "staging",
            "scope_permissions": null, "is_active": true, "is_primary": false, "expiration_date": null, "days_remaining": null,
            "max_requests": null, "requests_used": 0, "requests_remaining": null, "usage_percentage": null, "ip_allowlist": [],
            "domain_referrers": [], "allowed_models": [], "budget": null, "rotation": null, "created_at": null, "updated_at": null,
            "last_used_at": null, "security_status": null,
        },
        "timestamp": null,
    });
    assert_eq!(answer, expected);
    assert_eq!(time(&rotation["previous_key_expires_at"]) - time(&rotation["rotated_at"]), chrono::TimeDelta::hours(24));
    let grace = json!({
        "rotated_at": rotation["rotated_at"], "previous_key_expires_at": rotation["previous_key_expires_at"],
        "previous_key_masked": format!("{}...", &old[..10]), "previous_key_last4": old[old.len() - 4..], "previous_key_active": true,
    });
    assert_eq!(rotation, grace);
    let list = app.get_as(&user.key, "/user/api-keys").await;
    assert_eq!(list.json()["keys"][0]["rotation"], grace);
    assert!(!list.text().contains(&new) && !list.text().contains(&old), "no secret is shown again");
    assert_eq!([works(&app, &old).await, works(&app, &new).await], [200, 200]);
    let masked = app.get_as(&old, "/user/balance").await.json()["api_key"].take();
    assert_eq!(masked, format!("{}...", &old[..10]), "each secret is shown as itself");
}

// Mutant, red: `has_previous_secret` always false.
#[actix_web::test]
async fn the_old_secret_works_to_the_end_of_its_grace_and_no_longer() {
    let app = support::app().await;
    let (user, id, old) = with_key(&app, json!({})).await;
    let key = updated(&app, &user.key, &id, json!({"action": "rotate", "grace_hours": 48})).await;
    let (new, end) = (text(&key["api_key"]).to_owned(), time(&key["rotation"]["previous_key_expires_at"]));
    turn_to(&app, end - chrono::TimeDelta::seconds(30));
    assert_eq!([works(&app, &old).await, works(&app, &new).await], [200, 200]);
    turn_to(&app, end);
    let refused = app.get_as(&old, "/user/balance").await;
    assert_eq!((refused.status, refused.json()), (401, json!({"detail": "API key has expired"})));
    assert_eq!(works(&app, &new).await, 200);
    let rotation = app.get_as(&user.key, "/user/api-keys").await.json()["keys"][0]["rotation"].take();
    assert_eq!((&rotation["previous_key_active"], time(&rotation["previous_key_expires_at"])), (&json!(false), end));
}

#[actix_web::test]
async fn without_a_grace_the_old_secret_ends_at_once() {
    let app = support::app().await;
    let (user, id, old) = with_key(&app, json!({})).await;
    let key = updated(&app, &user.key, &id, json!({"action": "rotate", "grace_hours": 0})).await;
    assert_eq!([works(&app, &old).await, works(&app, text(&key["api_key"])).await], [401, 200]);
    let expected = json!({"rotated_at": key["rotation"]["rotated_at"], "previous_key_expires_at": null, "previous_key_masked": null,
        "previous_key_last4": null, "previous_key_active": false});
    assert_eq!(key["rotation"], expected);
}

#[actix_web::test]
async fn a_second_rotation_ends_the_oldest_secret_at_once_and_begins_a_new_grace() {
    let app = support::app().await;
    let (user, id, first) = with_key(&app, json!({})).await;
    let rotate = async |grace: i64| {
        let key = updated(&app, &user.key, &id, json!({"action": "rotate", "grace_hours": grace})).await;
        text(&key["api_key"]).to_owned()
    };
    let second = rotate(24).await;
    let third = rotate(1).await;
    assert_eq!([works(&app, &first).await, works(&app, &second).await, works(&app, &third).await], [401, 200, 200]);
    app.clock.advance(HOUR);
    assert_eq!([works(&app, &first).await, works(&app, &second).await, works(&app, &third).await], [401, 401, 200]);
    assert_eq!(works(&app, &rotate(0).await).await, 200);
    assert_eq!([works(&app, &first).await, works(&app, &second).await, works(&app, &third).await], [401, 401, 401]);
}

#[actix_web::test]
async fn a_running_grace_can_be_cut_short_and_never_drawn_out() {
    let app = support::app().await;
    let (user, id, old) = with_key(&app, json!({})).await;
    let key = updated(&app, &user.key, &id, json!({"action": "rotate", "grace_hours": 10})).await;
    let end = key["rotation"]["previous_key_expires_at"].clone();
    let key = updated(&app, &user.key, &id, json!({"grace_hours": 700})).await;
    assert_eq!(key["rotation"]["previous_key_expires_at"], end);
    assert_eq!(works(&app, &old).await, 200);
    let key = updated(&app, &user.key, &id, json!({"grace_hours": 0})).await;
    assert_eq!(key["rotation"]["previous_key_active"], json!(false));
    assert_eq!(works(&app, &old).await, 401);
    updated(&app, &user.key, &id, json!({"grace_hours": 5})).await;
    assert_eq!(works(&app, &old).await, 401, "what has ended does not come back");
}

// Mutant, red: the grace not cut at the key's own expiry.
#[actix_web::test]
async fn a_key_that_is_off_or_has_expired_is_not_rotated_unless_it_is_healed_in_the_same_step() {
    let app = support::app().await;
    let (user, id, old) = with_key(&app, json!({"expiration_days": 1})).await;
    updated(&app, &user.key, &id, json!({"is_active": false})).await;
    let refused = put(&app, &user.key, &id, json!({"action": "rotate", "key_name": "renamed"})).await;
    let detail = "API key is inactive: set is_active before it is rotated";
    assert_eq!((refused.status, refused.json()), (400, json!({"detail": detail})));
    let key = updated(&app, &user.key, &id, json!({"action": "rotate", "is_active": true, "grace_hours": 48})).await;
    assert_eq!((&key["key_name"], &key["is_active"]), (&json!("ci"), &json!(true)), "the refused one has changed nothing");
    assert_eq!(key["rotation"]["previous_key_expires_at"], key["expiration_date"], "no secret outlives its key");
    let second = text(&key["api_key"]).to_owned();
    turn_to(&app, time(&key["expiration_date"]));
    let refused = put(&app, &user.key, &id, json!({"action": "rotate", "expiration_days": null})).await;
    let detail = "API key has expired: set expiration_days before it is rotated";
    assert_eq!((refused.status, refused.json()), (400, json!({"detail": detail})));
    let fields = json!({"action": "rotate", "expiration_days": 10, "key_name": "renewed", "max_requests": null});
    let key = updated(&app, &user.key, &id, fields).await;
    assert_eq!((&key["key_name"], &key["days_remaining"]), (&json!("renewed"), &json!(9)));
    let statuses = [works(&app, &old).await, works(&app, &second).await, works(&app, text(&key["api_key"])).await];
    assert_eq!(statuses, [401, 200, 200], "the one before it lives its grace");
}

#[actix_web::test]
async fn switching_off_and_deleting_end_both_secrets() {
    let app = support::app().await;
    let (user, id, old) = with_key(&app, json!({})).await;
    let key = updated(&app, &user.key, &id, json!({"action": "rotate"})).await;
    let new = text(&key["api_key"]).to_owned();
    updated(&app, &user.key, &id, json!({"is_active": false})).await;
    for secret in [&old, &new] {
        assert_eq!(app.get_as(secret, "/user/balance").await.json(), json!({"detail": "API key is inactive"}));
    }
    updated(&app, &user.key, &id, json!({"is_active": true})).await;
    assert_eq!([works(&app, &old).await, works(&app, &new).await], [200, 200]);
    assert_eq!(app.delete_as(&user.key, &format!("/user/api-keys/{id}"), json!({})).await.status, 200);
    assert_eq!([works(&app, &old).await, works(&app, &new).await], [401, 401]);
}

#[actix_web::test]
async fn a_key_learns_no_secret_of_a_key_that_may_do_more() {
    let app = support::app().await;
    let (user, id, narrow) = with_key(&app, json!({"scope_permissions": {"read": ["*"], "write": ["api_keys"]}})).await;
    let keys = app.get_as(&user.key, "/user/api-keys").await.json()["keys"].take();
    let detail = json!({"detail": "Insufficient permissions to rotate a key that may do more than the one that asks"});
    for (id, action) in [(&keys[1]["id"], "rotate"), (&keys[1]["id"], "bulk_rotate"), (&id, "bulk_rotate")] {
        let refused = put(&app, &narrow, id, json!({"action": action})).await;
        assert_eq!((refused.status, refused.json()), (403, detail.clone()), "{action}");
    }
    let own = updated(&app, &narrow, &id, json!({"action": "rotate"})).await;
    assert_eq!([works(&app, &user.key).await, works(&app, text(&own["api_key"])).await], [200, 200]);
}

#[actix_web::test]
async fn bulk_rotation_gives_every_live_key_a_new_secret_newest_first() {
    let app = support::app().await;
    let (user, off, _) = with_key(&app, json!({})).await;
    updated(&app, &user.key, &off, json!({"is_active": false})).await;
    let made = async |name: &str, tag: &str, days: Value| {
        create(&app, &user.key, json!({"key_name": name, "environment_tag": tag, "expiration_days": days})).await
    };
    let expired = made("expired", "test", json!(1)).await;
    app.clock.advance(24 * HOUR);
    let (test, staging) = (made("t", "test", json!(null)).await, made("s", "staging", json!(null)).await);
    let before = app.clock.now();
    // Any of the user's keys will do in the path.
    let mut answer = put(&app, &user.key, &off, json!({"action": "bulk_rotate", "grace_hours": 2})).await.json();
    assert!(time(&answer["timestamp"].take()) >= before);
    let names: Vec<Value> = answer["new_keys"].as_array().unwrap().iter().map(|key| key["key_name"].clone()).collect();
    assert_eq!(names, ["s", "t", "Primary Key"]);
    let mut secrets = HashSet::new();
    for (key, prefix) in answer["new_keys"].as_array_mut().unwrap().iter_mut().zip(["gw_staging_", "gw_test_", "gw_live_"]) {
        let secret = text(&key["new_api_key"].take()).to_owned();
        assert!(secret.starts_with(prefix), "{secret}");
        assert_eq!(works(&app, &secret).await, 200);
        assert!(time(&key["previous_key_expires_at"].take()) >= before + chrono::TimeDelta::hours(2));
        secrets.insert(secret);
    }
    let primary = answer["new_keys"][2]["key_id"].clone();
    let entry =
        |id: &Value, name: &str| json!({"key_id": id, "key_name": name, "new_api_key": null, "previous_key_expires_at": null});
    let expected = json!({
        "status": "success", "message": "Bulk rotation completed: 3 keys rotated", "rotated_count": 3,
        "new_keys": [entry(&staging["id"], "s"), entry(&test["id"], "t"), entry(&primary, "Primary Key")],
        "phase4_integration": true, "timestamp": null,
    });
    assert_eq!((answer, secrets.len()), (expected, 3));
    assert_eq!(works(&app, &user.key).await, 200, "the old ones live their grace");
    let list = app.get_as(&user.key, "/user/api-keys").await.json();
    for id in [&off, &expired["id"]] {
        let key = list["keys"].as_array().unwrap().iter().find(|key| key["id"] == *id).unwrap();
        assert_eq!(key["rotation"], Value::Null, "{key}");
    }
    app.clock.advance(2 * HOUR);
    assert_eq!([works(&app, &user.key).await, works(&app, text(&test["api_key"])).await], [401, 401]);
}

#[actix_web::test]
async fn bulk_rotation_of_an_environment_leaves_the_others_alone() {
    let app = support::app().await;
    let (user, id, live) = with_key(&app, json!({})).await;
    let test = create(&app, &user.key, json!({"key_name": "t", "environment_tag": "test"})).await;
    let rotate = async |tag: &str| {
        let body = json!({"action": "bulk_rotate", "environment_tag": tag, "grace_hours": 0});
        put(&app, &user.key, &id, body).await.json()
    };
    let none = rotate("development").await;
    assert_eq!((&none["rotated_count"], &none["new_keys"]), (&json!(0), &json!([])));
    assert_eq!(none["message"], "Bulk rotation completed: 0 keys rotated");
    let answer = rotate("test").await;
    assert_eq!((&answer["rotated_count"], &answer["new_keys"][0]["key_id"]), (&json!(1), &test["id"]));
    assert_eq!(answer["new_keys"][0]["previous_key_expires_at"], Value::Null);
    assert_eq!(
        [works(&app, text(&test["api_key"])).await, works(&app, &live).await, works(&app, &user.key).await],
        [401, 200, 200]
    );
}

/// K1: the old secret of a rotation without grace is refused by another server within a second, and the new one is known.
#[actix_web::test]
async fn a_rotation_is_known_within_a_second_on_another_server() {
    let one = support::app().await;
    let url = one.database.app_url.clone();
    let two = support::app_with(&[("DATABASE_URL", url.as_str()), ("DATABASE_ADMIN_URL", one.database.owner_url.as_str())]).await;
    let (user, id, mut old) = with_key(&one, json!({})).await;
    for _ in 0..3 {
        assert_eq!(works(&two, &old).await, 200);
        let key = updated(&one, &user.key, &id, json!({"action": "rotate", "grace_hours": 0})).await;
        let rotated = Instant::now();
        let new = text(&key["api_key"]).to_owned();
        assert_eq!([works(&one, &old).await, works(&one, &new).await, works(&two, &new).await], [401, 200, 200]);
        eventually("the other server knows", async || (works(&two, &old).await == 401).then_some(())).await;
        assert!(rotated.elapsed() <= Duration::from_secs(1), "{:?}", rotated.elapsed());
        old = new;
    }
}

/// Rotations of one key at the same time: each has an answer, one secret is the key's, at most one is the previous.
#[actix_web::test]
async fn of_many_rotations_at_once_one_secret_is_left_and_one_before_it() {
    let app = support::app().await;
    let (user, id, old) = with_key(&app, json!({})).await;
    let rotations = (0..8).map(|_| updated(&app, &user.key, &id, json!({"action": "rotate"})));
    let keys = futures_util::future::join_all(rotations).await;
    let mut working = 0;
    for key in &keys {
        working += u32::from(works(&app, text(&key["api_key"])).await == 200);
    }
    assert_eq!((working, works(&app, &old).await), (2, 401));
    assert_eq!(app.database.number("SELECT count(*) FROM api_key_audit_logs WHERE action = 'rotate'").await, 8);
}
