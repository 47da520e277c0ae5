//! `GET /user/balance`.

use crate::support::{self, ADMIN_KEY};
use serde_json::json;

#[actix_web::test]
async fn a_trial_shows_what_is_left_of_it() {
    let app = support::app_with(&[("TRIAL_TOKENS", "100000"), ("TRIAL_REQUESTS", "1000")]).await;
    let user = app.register_user().await;
    let mut body = app.get_as(&user.key, "/user/balance").await.json();
    assert!(body["trial_end_date"].take().is_string());
    let expected = json!({
        "api_key": format!("{}...", &user.key[..10]), "credits": 10.0, "held": 0.0, "available": 10.0, "debt": 0.0,
        "status": "trial", "user_id": user.id, "tokens_remaining": 100_000, "requests_remaining": 1_000, "trial_end_date": null,
    });
    assert_eq!(body, expected);
}

#[actix_web::test]
async fn after_the_trial_the_status_is_active() {
    let app = support::app().await;
    let user = app.register_user().await;
    let added = app.post_as(ADMIN_KEY, "/admin/add_credits", json!({"user_id": user.id, "credits": 0.000000001})).await;
    assert_eq!(added.status, 200, "{added:?}");
    let body = app.get_as(&user.key, "/user/balance").await.json();
    let expected = json!({
        "api_key": format!("{}...", &user.key[..10]), "credits": 10.000000001, "held": 0.0, "available": 10.000000001, "debt": 0.0,
        "status": "active", "user_id": user.id,
    });
    assert_eq!(body, expected);
}

#[actix_web::test]
async fn what_is_held_is_not_available() {
    let app = support::app().await;
    let user = app.register_user().await;
    let hold = "UPDATE accounts SET held = 4000000000 WHERE user_id = $1 AND kind = 'user' AND asset = 'usd'";
    app.database.connect().await.execute(hold, &[&user.id]).await.unwrap();
    let body = app.get_as(&user.key, "/user/balance").await.json();
    assert_eq!((&body["credits"], &body["held"], &body["available"]), (&json!(10.0), &json!(4.0), &json!(6.0)));
}
