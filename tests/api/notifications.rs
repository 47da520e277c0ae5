//! `GET` and `PUT /user/notifications/preferences`.

use crate::support::{self, Reply, TestApp, TestUser};
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/user/notifications/preferences";

async fn put(app: &TestApp, key: &str, body: Value) -> Reply {
    Reply::of(app.request(Method::PUT, PATH).bearer_auth(key).json(&body)).await
}

fn shown(user: &TestUser, off: &[&str], times: &Value) -> Value {
    let mut shown = json!({"user_id": user.id, "email_notifications": true, "low_balance_alerts": true, "trial_expiry_alerts": true,
        "subscription_alerts": true, "usage_alerts": true, "created_at": times["created_at"], "updated_at": times["updated_at"]});
    for name in off {
        shown[*name] = json!(false);
    }
    shown
}

#[actix_web::test]
async fn who_has_not_chosen_is_told_of_everything_and_a_choice_is_kept() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    let never = json!({"created_at": null, "updated_at": null});
    assert_eq!(app.get_as(&user.key, PATH).await.json(), shown(&user, &[], &never));
    let first = put(&app, &user.key, json!({"usage_alerts": false})).await;
    assert_eq!((first.status, first.json()), (200, shown(&user, &["usage_alerts"], &first.json())));
    assert!(first.json()["created_at"].is_string());
    app.clock.advance(std::time::Duration::from_secs(60));
    // What is absent or null stays.
    let second = put(&app, &user.key, json!({"email_notifications": false, "low_balance_alerts": null})).await.json();
    assert_eq!(second, shown(&user, &["usage_alerts", "email_notifications"], &second));
    assert_eq!(second["created_at"], first.json()["created_at"]);
    assert_ne!(second["updated_at"], second["created_at"]);
    assert_eq!(app.get_as(&user.key, PATH).await.json(), second);
    assert_eq!(app.get_as(&other.key, PATH).await.json(), shown(&other, &[], &never), "each for themselves");
}

#[actix_web::test]
async fn nothing_to_change_and_wrong_values_are_refused() {
    let app = support::app().await;
    let user = app.register_user().await;
    for body in [json!({}), json!({"usage_alerts": null}), json!({"unknown": true})] {
        let refused = put(&app, &user.key, body).await;
        assert_eq!((refused.status, refused.json()), (400, json!({"detail": "At least one preference must be provided"})));
    }
    let refused = put(&app, &user.key, json!({"usage_alerts": "no"})).await;
    assert_eq!((refused.status, &refused.json()["detail"][0]["loc"]), (422, &json!(["body", "usage_alerts"])));
    assert_eq!(app.get(PATH).await.status, 401);
    let narrow = json!({"key_name": "narrow", "scope_permissions": {"read": ["models"], "write": ["chat"]}});
    let narrow = app.post_as(&user.key, "/user/api-keys", narrow).await.json()["api_key"].as_str().unwrap().to_owned();
    assert_eq!(app.get_as(&narrow, PATH).await.status, 403);
    assert_eq!(put(&app, &narrow, json!({"usage_alerts": false})).await.status, 403);
}
