//! `GET /admin/trial/analytics`.

use crate::support::{self, ADMIN_KEY};
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/admin/trial/analytics";
const DAY: Duration = Duration::from_secs(86_400);

#[actix_web::test]
async fn users_are_counted_by_what_became_of_their_trial() {
    let app = support::app().await;
    let counts = async || app.get_as(ADMIN_KEY, PATH).await.json();
    let analytics = |users: i64, active: i64, expired: i64, converted: i64, rate: Value, ending: i64, new: i64| {
        json!({"total_users": users, "active_trials": active, "expired_trials": expired, "converted_users": converted,
            "conversion_rate": rate, "ending_soon": ending, "tokens_used": 0, "requests_used": 0, "new_users_7d": new})
    };
    let empty = counts().await;
    let expected =
        json!({"success": true, "analytics": analytics(0, 0, 0, 0, json!(null), 0, 0), "timestamp": empty["timestamp"]});
    assert_eq!(empty, expected);
    let mut users = Vec::new();
    for _ in 0..4 {
        users.push(app.register_user().await);
    }
    assert_eq!(counts().await["analytics"], analytics(4, 4, 0, 0, json!(null), 0, 4));
    let credits = json!({"user_id": users[0].id, "api_key": users[0].key, "credits": 5});
    assert_eq!(app.post_as(ADMIN_KEY, "/admin/add_credits", credits).await.status, 200);
    assert_eq!(counts().await["analytics"], analytics(4, 3, 0, 1, json!(100.0), 0, 4));
    app.clock.advance(DAY * 2 + Duration::from_secs(3_600));
    app.register_user().await;
    assert_eq!(counts().await["analytics"], analytics(5, 4, 0, 1, json!(100.0), 3, 5));
    app.clock.advance(DAY);
    assert_eq!(counts().await["analytics"], analytics(5, 1, 3, 1, json!(25.0), 0, 5));
    app.clock.advance(DAY * 5);
    assert_eq!(counts().await["analytics"], analytics(5, 0, 4, 1, json!(20.0), 0, 1));
    assert_eq!(app.get(PATH).await.status, 401);
    assert_eq!(app.get_as(&users[0].key, PATH).await.status, 403);
}
