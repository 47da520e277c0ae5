//! `GET /user/profile` and `PUT /user/profile`.

use crate::support::{self, Reply, TestApp, TestUser};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

async fn get(app: &TestApp, user: &TestUser) -> Value {
    let reply = app.get_as(&user.key, "/user/profile").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

async fn put(app: &TestApp, user: &TestUser, change: Value) -> Reply {
    Reply::of(app.request(Method::PUT, "/user/profile").bearer_auth(&user.key).json(&change)).await
}

#[actix_web::test]
async fn a_new_users_profile_has_every_field() {
    let app = support::app().await;
    let user = app.register_user().await;
    let mut profile = get(&app, &user).await;
    for time in ["registration_date", "created_at", "updated_at", "trial_expires_at"] {
        let text = profile[time].take();
        assert!(chrono::DateTime::parse_from_rfc3339(text.as_str().unwrap()).is_ok(), "{time}: {text}");
    }
    let expected = json!({
        "user_id": user.id, "api_key": format!("{}...", &user.key[..10]), "credits": 10.0, "username": user.username,
        "email": format!("{}@example.com", user.username), "auth_method": "email", "subscription_status": "trial",
        "trial_expires_at": null, "is_active": true, "registration_date": null, "created_at": null, "updated_at": null,
        "name": null, "preferences": {}, "settings": {},
    });
    assert_eq!(profile, expected);
}

#[actix_web::test]
async fn what_is_put_is_what_is_got_with_any_key_of_the_user() {
    let app = support::app().await;
    let user = app.register_user().await;
    let before = get(&app, &user).await;
    app.clock.advance(Duration::from_secs(60));
    let made = app.post_as(&user.key, "/user/api-keys", json!({"key_name": "second"})).await.json();
    let second = TestUser { key: made["api_key"].as_str().unwrap().to_owned(), ..user.clone() };
    let change = json!({"name": " Ada Lovelace ", "email": "Ada@Example.org", "preferences": {"theme": "dark", "深い": [1, null]},
        "settings": {"beta": true}});
    let reply = put(&app, &second, change).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer = reply.json();
    let mut expected = before.clone();
    for (field, value) in [
        ("api_key", json!(format!("{}...", &second.key[..10]))),
        ("name", json!("Ada Lovelace")),
        ("email", json!("Ada@Example.org")),
        ("preferences", json!({"theme": "dark", "深い": [1, null]})),
        ("settings", json!({"beta": true})),
        ("updated_at", answer["updated_at"].clone()),
    ] {
        expected[field] = value;
    }
    assert_eq!(answer, expected);
    assert_ne!(answer["updated_at"], before["updated_at"]);
    expected["api_key"] = before["api_key"].clone();
    assert_eq!(get(&app, &user).await, expected, "seen with the other key");
    let reply = put(&app, &user, json!({"preferences": {}, "name": null, "unknown": 1})).await.json();
    assert_eq!(
        (&reply["preferences"], &reply["name"], &reply["settings"]),
        (&json!({}), &json!("Ada Lovelace"), &json!({"beta": true}))
    );
}

#[actix_web::test]
async fn nothing_to_change_is_400() {
    let app = support::app().await;
    let user = app.register_user().await;
    for nothing in
        [json!({}), json!({"name": null, "email": null, "preferences": null, "settings": null}), json!({"username": "eve"})]
    {
        let reply = put(&app, &user, nothing.clone()).await;
        assert_eq!(
            (reply.status, reply.json()),
            (400, json!({"detail": "At least one profile field must be provided"})),
            "{nothing}"
        );
    }
}

#[actix_web::test]
async fn an_address_is_one_and_belongs_to_one_account() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    let taken = format!("{}@EXAMPLE.com", other.username.to_uppercase());
    let reply = put(&app, &user, json!({"email": taken, "name": "not me"})).await;
    assert_eq!((reply.status, reply.json()), (400, json!({"detail": "User with this email already exists"})));
    assert_eq!(get(&app, &user).await["name"], Value::Null, "all or nothing");
    let own = format!("{}@EXAMPLE.com", user.username);
    assert_eq!(put(&app, &user, json!({"email": own})).await.status, 200, "its own, in other letters");
    for wrong in ["nowhere", "", "a@b", "a b@example.org"] {
        let reply = put(&app, &user, json!({"email": wrong})).await;
        assert_eq!((reply.status, &reply.json()["detail"][0]["loc"]), (422, &json!(["body", "email"])), "{wrong}");
    }
    let reply = app.post("/auth/register", json!({"username": "late", "email": own})).await;
    assert_eq!((reply.status, reply.json()), (400, json!({"detail": "User with this email already exists"})));
}

#[actix_web::test]
async fn wrong_shapes_are_422_and_name_every_field_that_is_wrong() {
    let app = support::app().await;
    let user = app.register_user().await;
    let reply =
        put(&app, &user, json!({"name": "", "email": "x", "preferences": {"a\u{0}": 1}, "settings": {"a": ["\u{0}"]}})).await;
    let fields: Vec<Value> = reply.json()["detail"].as_array().unwrap().iter().map(|field| field["loc"][1].clone()).collect();
    assert_eq!((reply.status, json!(fields)), (422, json!(["name", "email", "preferences", "settings"])));
    let large = json!({"a": "x".repeat(16 << 10)});
    for wrong in [
        json!({"name": 7}),
        json!({"name": "x".repeat(256)}),
        json!({"preferences": []}),
        json!({"preferences": "dark"}),
        json!({"settings": large}),
        json!([]),
    ] {
        assert_eq!(put(&app, &user, wrong.clone()).await.status, 422, "{wrong}");
    }
    assert_eq!(get(&app, &user).await["settings"], json!({}));
}
