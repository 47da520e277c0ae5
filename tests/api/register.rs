//! `POST /auth/register`.

use crate::support::{self, Reply};
use reqwest::Method;
use serde_json::{Value, json};

#[actix_web::test]
async fn a_registration_answers_what_the_contract_says() {
    let app = support::app().await;
    let reply = app
        .post(
            "/auth/register",
            json!({"username": " ada ", "email": "ada@example.org", "auth_method": "google", "environment_tag": "test", "key_name": "First"}),
        )
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let mut body = reply.json();
    let key = body["api_key"].take();
    assert!(key.as_str().unwrap().starts_with("gw_test_") && key.as_str().unwrap().len() == 51, "{key}");
    for field in ["user_id", "key_id", "timestamp"] {
        let value = body[field].take();
        assert!(if field == "timestamp" { value.is_string() } else { value.is_i64() }, "{field}: {value}");
    }
    let expected = json!({
        "user_id": null, "key_id": null, "api_key": null, "timestamp": null,
        "username": "ada", "email": "ada@example.org", "credits": 10.0, "environment_tag": "test",
        "scope_permissions": {"read": ["models", "usage", "profile"], "write": ["chat", "completions", "profile_update"]},
        "auth_method": "google", "subscription_status": "trial", "message": "User registered successfully",
    });
    assert_eq!(body, expected);
}

#[actix_web::test]
async fn the_first_key_works_at_once() {
    let app = support::app().await;
    let user = app.register_user().await;
    let balance = app.get_as(&user.key, "/user/balance").await.json();
    assert_eq!((&balance["user_id"], &balance["credits"]), (&json!(user.id), &json!(10.0)));
    let keys = app.get_as(&user.key, "/user/api-keys").await.json();
    assert_eq!(keys["keys"][0]["key_name"], "Primary Key");
    assert_eq!(keys["keys"][0]["is_primary"], true);
}

#[actix_web::test]
async fn initial_credits_lower_the_grant_and_never_raise_it() {
    let app = support::app().await;
    let register = async |name: &str, credits: Value| {
        let body = json!({"username": name, "email": format!("{name}@example.org"), "initial_credits": credits});
        app.post("/auth/register", body).await
    };
    assert_eq!(register("less", json!(2.5)).await.json()["credits"], 2.5);
    assert_eq!(register("none", json!(0)).await.json()["credits"], 0.0);
    assert_eq!(register("all", json!(10)).await.json()["credits"], 10.0);
    let refused = register("more", json!(10.01)).await;
    assert_eq!((refused.status, refused.json()), (400, json!({"detail": "Initial credits must be at most 10"})));
    let refused = register("negative", json!(-1)).await;
    assert_eq!((refused.status, refused.json()), (400, json!({"detail": "Initial credits must be non-negative"})));
    assert_eq!(register("precise", json!(0.0000000001)).await.status, 422);
}

#[actix_web::test]
async fn taken_names_and_addresses_and_bad_tags_are_400() {
    let app = support::app().await;
    app.post("/auth/register", json!({"username": "ada", "email": "ada@example.org"})).await;
    let cases = [
        (json!({"username": "ada", "email": "b@example.org"}), "Username already taken"),
        (json!({"username": "bob", "email": "Ada@Example.org"}), "User with this email already exists"),
        (json!({"username": "bob", "email": "b@example.org", "environment_tag": "prod"}), "Invalid environment tag"),
    ];
    for (body, detail) in cases {
        let reply = app.post("/auth/register", body).await;
        assert_eq!((reply.status, reply.json()), (400, json!({"detail": detail})));
    }
}

#[actix_web::test]
async fn a_wrong_shape_is_422_and_names_the_field() {
    let app = support::app().await;
    let cases = [
        (json!({"email": "a@example.org"}), "username"),
        (json!({"username": "a"}), "email"),
        (json!({"username": "a", "email": "nobody"}), "email"),
        (json!({"username": "  ", "email": "a@example.org"}), "username"),
        (json!({"username": "a\u{0}b", "email": "a@example.org"}), "username"),
        (json!({"username": "x".repeat(300), "email": "a@example.org"}), "username"),
        (json!({"username": "a", "email": "a@example.org", "auth_method": "fax"}), "auth_method"),
        (json!({"username": "a", "email": "a@example.org", "key_name": ""}), "key_name"),
        (json!({"username": "a", "email": "a@example.org", "initial_credits": "ten"}), "initial_credits"),
    ];
    for (body, field) in cases {
        let reply = app.post("/auth/register", body.clone()).await;
        assert_eq!(reply.status, 422, "{body}");
        assert_eq!(reply.json()["detail"][0]["loc"], json!(["body", field]), "{body}");
    }
}

#[actix_web::test]
async fn an_address_registers_so_often_an_hour() {
    let app = support::app_with(&[("REGISTER_PER_HOUR", "2")]).await;
    let register = async |number: u32| {
        let body = json!({"username": format!("u{number}"), "email": format!("u{number}@example.org")});
        // Whoever is no trusted proxy can't lend themselves an address.
        let forged = format!("192.0.2.{number}");
        Reply::of(app.request(Method::POST, "/auth/register").header("x-forwarded-for", forged).json(&body)).await
    };
    assert_eq!((register(1).await.status, register(2).await.status), (200, 200));
    let refused = register(3).await;
    assert_eq!((refused.status, refused.json()), (429, json!({"detail": "Too many registrations from this address"})));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=3_600).contains(&wait), "{wait}");
    app.clock.advance(std::time::Duration::from_secs(wait));
    assert_eq!(register(4).await.status, 200);
}

#[actix_web::test]
async fn without_trials_a_new_user_is_active() {
    let app = support::app_with(&[("TRIAL_DAYS", "0")]).await;
    let reply = app.post("/auth/register", json!({"username": "ada", "email": "ada@example.org"})).await.json();
    assert_eq!(reply["subscription_status"], "active");
    let balance = app.get_as(reply["api_key"].as_str().unwrap(), "/user/balance").await.json();
    assert_eq!(balance["status"], "active");
    assert!(balance.get("tokens_remaining").is_none());
}
