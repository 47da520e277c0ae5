//! What is refused, and how it is said.

use super::*;
use crate::support;

#[actix_web::test]
async fn wrong_parameters_are_told_in_the_envelope_of_the_path() {
    let app = support::app().await;
    let user = app.register_user().await;
    for (path, query, status) in [
        (LOG, "limit=0", 422),
        (LOG, "limit=1001", 422),
        (LOG, "limit=x", 422),
        (LOG, "offset=-1", 422),
        (LOG, "page=0", 422),
        (LOG, "page=9223372036854775807", 422),
        (LOG, "before=x", 422),
        (LOG, "model=%00", 422),
        (LOG, "from=yesterday", 400),
        (LOG, "to=2025-02-30", 400),
        (LOG, "from=2025-1-1", 400),
        (STATS, "days=0", 422),
        (STATS, "days=366", 422),
        (STATS, "from=20250101&to=2025-01-02", 400),
        (STATS, "from=2025-01-01&to=x", 400),
        (STATS, "from=0001-01-01&to=9999-12-31", 400),
    ] {
        let reply = app.get_as(&user.key, &format!("{path}?{query}")).await;
        assert_eq!(reply.status, status, "{path}?{query}: {reply:?}");
        let detail = &reply.json()["detail"];
        assert!(if status == 422 { detail[0]["loc"][0] == "query" } else { detail.is_string() }, "{query}: {detail}");
        let api = app.get_as(&user.key, &format!("/api{path}?{query}")).await;
        assert_eq!(api.status, 400, "/api{path}?{query}");
        assert!(api.json()["error"].is_string() && api.json()["message"].is_string(), "{query}: {api:?}");
    }
}

#[actix_web::test]
async fn only_the_user_reads_and_only_with_a_key_that_may() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    let generation = call(&app, &user.key, "openai/gpt-4o-mini", 5, false).await.header("x-generation-id").to_owned();
    log_of(&app, &user, 2).await;
    let narrow = json!({"key_name": "narrow", "scope_permissions": {"read": ["models"], "write": ["*"]}});
    let narrow = app.post_as(&user.key, "/user/api-keys", narrow).await.json()["api_key"].as_str().unwrap().to_owned();
    let reading = json!({"key_name": "reading", "scope_permissions": {"read": ["usage"]}});
    let reading = app.post_as(&user.key, "/user/api-keys", reading).await.json()["api_key"].as_str().unwrap().to_owned();
    let generation = format!("/v1/generation?id={generation}");
    for path in [
        LOG,
        STATS,
        "/api/user/activity/log",
        "/api/user/activity/stats",
        "/v1/credits",
        "/v1/key",
        "/user/monitor",
        "/user/environment-usage",
        "/user/credit-transactions",
        &generation,
    ] {
        assert_eq!(app.get(path).await.status, 401, "{path}");
        assert_eq!(app.get_as("gw_live_unknown", path).await.status, 401, "{path}");
        assert_eq!(app.get_as(&narrow, path).await.status, 403, "{path}");
        assert_eq!(app.get_as(&reading, path).await.status, 200, "{path}");
        assert_eq!(app.get_as(&user.key, path).await.status, 200, "{path}");
    }
    // Mutant: a generation that is looked for without its user is found by everyone.
    assert_eq!(app.get_as(&other.key, &generation).await.status, 404);
    assert_eq!(log_of(&app, &other, 1).await["logs"][0]["action"], "user_login");
    assert_eq!(ok(&app, &other, STATS).await["total_requests"], 0);
}

#[actix_web::test]
async fn without_the_database_the_answer_is_503_and_no_zeros() {
    let app = support::app().await;
    let user = app.register_user().await;
    assert_eq!(ok(&app, &user, STATS).await["total_requests"], 0);
    app.database.refuse_connections().await;
    let generation = format!("/v1/generation?id=gen-{}", uuid::Uuid::now_v7().simple());
    for path in [
        LOG,
        STATS,
        "/api/user/activity/stats",
        "/v1/key",
        "/v1/credits",
        "/user/monitor",
        "/user/environment-usage",
        "/user/credit-transactions",
        &generation,
    ] {
        let reply = app.get_as(&user.key, path).await;
        assert_eq!(reply.status, 503, "{path}: {reply:?}");
        assert_ne!(reply.header("retry-after"), "", "{path}");
    }
    app.database.accept_connections().await;
    eventually("it is back", async || Some(app.get_as(&user.key, STATS).await).filter(|reply| reply.status == 200)).await;
}
