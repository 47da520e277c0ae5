//! What every answer says of limits.

use super::*;
use reqwest::Method;
use tollgate_sim::provider::Behaviour;

/// Limit, remaining, tier; the reset is checked to lie ahead.
fn shown(app: &TestApp, reply: &Reply) -> (String, String, String) {
    let reset: i64 = reply.header("x-ratelimit-reset").parse().unwrap_or_else(|_| panic!("no reset: {reply:?}"));
    assert!((0..=86_400).contains(&(reset - app.clock.now().timestamp())), "{reset}");
    let header = |name: &str| reply.header(name).to_owned();
    (header("x-ratelimit-limit"), header("x-ratelimit-remaining"), header("x-ratelimit-tier"))
}

fn is(shown: (String, String, String), limit: i64, remaining: i64, tier: &str) {
    assert_eq!(shown, (limit.to_string(), remaining.to_string(), tier.to_owned()));
}

#[actix_web::test]
async fn every_kind_of_answer_carries_them() {
    let app = support::app_with(&[("RATE_LIMIT_ADDRESS_PER_MINUTE", "1000")]).await;
    away_from_borders(&app);
    let user = app.register_user().await;
    grant(&app, &user, json!({"requests_per_hour": 4})).await;
    let plain = ask(&app, &user).await;
    assert_eq!(plain.status, 200);
    is(shown(&app, &plain), 4, 3, "free");
    let mut streamed = question(8);
    streamed["stream"] = json!(true);
    let streamed = app.post_as(&user.key, CHAT, streamed).await;
    assert_eq!((streamed.status, streamed.header("content-type")), (200, "text/event-stream"));
    is(shown(&app, &streamed), 4, 2, "free");
    let bad = app.post_as(&user.key, CHAT, json!({"model": 7})).await;
    assert_eq!(bad.status, 400);
    is(shown(&app, &bad), 4, 2, "free");
    is(shown(&app, &app.get_as(&user.key, "/user/balance").await), 4, 2, "free");
    app.sim.set_default(Behaviour::parse("status:500").unwrap());
    let failed = ask(&app, &user).await;
    assert_eq!(failed.status, 502);
    is(shown(&app, &failed), 4, 1, "free");
    app.sim.set_default(Behaviour::default());
    ask(&app, &user).await;
    let refused = ask(&app, &user).await;
    assert_eq!(refused.status, 429);
    is(shown(&app, &refused), 4, 0, "free");
    for (reply, status) in [
        (app.get("/nowhere").await, 404),
        (app.get("/").await, 200),
        (app.get_as("gw_live_wrong", "/user/balance").await, 401),
        (app.post("/auth/register", json!({})).await, 422),
    ] {
        assert_eq!(reply.status, status);
        let (limit, _, tier) = shown(&app, &reply);
        assert_eq!((limit.as_str(), tier.as_str()), ("1000", "anonymous"));
    }
}

#[actix_web::test]
async fn under_v1_openais_headers_stand_beside_and_pages_may_read_them_all() {
    let app = support::app().await;
    away_from_borders(&app);
    let user = app.register_user().await;
    grant(&app, &user, json!({"requests_per_minute": 10, "tokens_per_hour": 5_000})).await;
    let request = app.request(Method::POST, CHAT).bearer_auth(&user.key).header("origin", "https://a.example");
    let reply = Reply::of(request.json(&question(8))).await;
    let used = reply.json()["gateway_usage"]["tokens_charged"].as_i64().unwrap();
    assert_eq!((reply.header("x-ratelimit-limit-requests"), reply.header("x-ratelimit-remaining-requests")), ("10", "9"));
    let tokens_left = (5_000 - used).to_string();
    assert_eq!(
        (reply.header("x-ratelimit-limit-tokens"), reply.header("x-ratelimit-remaining-tokens")),
        ("5000", tokens_left.as_str())
    );
    let (requests_reset, tokens_reset) = (reply.header("x-ratelimit-reset-requests"), reply.header("x-ratelimit-reset-tokens"));
    assert!(requests_reset.ends_with('s') && !requests_reset.contains('m'), "{requests_reset}");
    assert!(tokens_reset.starts_with("49m"), "{tokens_reset}");
    let exposed = reply.header("access-control-expose-headers");
    for name in reply.headers.keys().filter(|name| name.as_str().starts_with("x-ratelimit")) {
        assert!(exposed.split(", ").any(|exposed| exposed == name.as_str()), "{name} is not in {exposed}");
    }
    assert!(app.get_as(&user.key, "/user/balance").await.header("x-ratelimit-limit-tokens").is_empty());
}

#[actix_web::test]
async fn a_second_key_shows_what_the_first_has_left_of_the_users_minute() {
    let app = support::app_with(&[("RATE_LIMIT_REQUESTS_PER_MINUTE", "2")]).await;
    away_from_borders(&app);
    let user = app.register_user().await;
    let second = app.post_as(&user.key, "/user/api-keys", json!({"key_name": "second"})).await.json();
    let second = TestUser { key: second["api_key"].as_str().unwrap().to_owned(), ..user.clone() };
    ask(&app, &user).await;
    is(shown(&app, &app.get_as(&second.key, "/user/balance").await), 2, 1, "free");
    ask(&app, &user).await;
    let page = app.get_as(&second.key, "/user/limit").await;
    is(shown(&app, &page), 2, 0, "free");
    let reason = "Rate limit exceeded: 2 requests per minute over all keys";
    // Mutant: a page that knows the key's own windows only says that a call is let through.
    assert_eq!(page.json()["current_usage"], json!({"allowed": false, "reason": reason}));
    let refused = ask(&app, &second).await;
    assert_eq!(refused.status, 429);
    is(shown(&app, &refused), 2, 0, "free");
}

#[actix_web::test]
async fn what_an_address_has_left_is_told_to_a_preflight_which_does_not_count_and_to_a_wrong_host_which_does() {
    let app = support::app_with(&[("RATE_LIMIT_ADDRESS_PER_MINUTE", "2")]).await;
    away_from_borders(&app);
    let preflight = || {
        let page = app.request(Method::OPTIONS, CHAT).header("origin", "https://a.example");
        Reply::of(page.header("access-control-request-method", "POST"))
    };
    let wrong_host = || Reply::of(app.request(Method::GET, "/").header("host", "a/b"));
    // Mutant: a preflight that counts turns this red.
    for (reply, status, remaining) in [
        (preflight().await, 204, 2),
        (wrong_host().await, 400, 1),
        (preflight().await, 204, 1),
        (wrong_host().await, 400, 0),
        (wrong_host().await, 429, 0),
        (preflight().await, 204, 0),
    ] {
        assert_eq!(reply.status, status, "{reply:?}");
        is(shown(&app, &reply), 2, remaining, "anonymous");
    }
}
