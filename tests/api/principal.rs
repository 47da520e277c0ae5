//! Who is calling, at the doors: the contract's checks, texts and statuses.

use crate::support::{self, Reply, TestApp};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

async fn balance(app: &TestApp, key: &str, headers: &[(&str, &str)]) -> Reply {
    let request = app.request(Method::GET, "/user/balance").bearer_auth(key);
    Reply::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

async fn key_with(app: &TestApp, user_key: &str, field: &str, value: Value) -> String {
    let made = app.post_as(user_key, "/user/api-keys", json!({"key_name": format!("{field} {value}"), field: value})).await;
    assert_eq!(made.status, 200, "{made:?}");
    made.json()["api_key"].as_str().unwrap().to_owned()
}

fn detail(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["detail"].as_str().unwrap().to_owned())
}

#[actix_web::test]
async fn no_key_and_unknown_keys_are_401() {
    let app = support::app().await;
    let missing = app.get("/user/balance").await;
    assert_eq!(detail(&missing), (401, "Not authenticated".to_owned()));
    assert_eq!(missing.header("www-authenticate"), "Bearer");
    let user = app.register_user().await;
    let typo = format!("{}{}", &user.key[..user.key.len() - 1], if user.key.ends_with('A') { 'B' } else { 'A' });
    for key in ["x", "gw_live_", &typo, &user.key.to_uppercase()] {
        assert_eq!(detail(&balance(&app, key, &[]).await), (401, "Invalid API key".to_owned()), "{key}");
    }
    assert_eq!(Reply::of(app.request(Method::GET, "/user/balance").header("x-api-key", &user.key)).await.status, 200);
    let twice = app.request(Method::GET, "/user/balance").header("authorization", "Bearer a").header("authorization", "Bearer b");
    assert_eq!(Reply::of(twice).await.status, 401);
}

#[actix_web::test]
async fn an_inactive_key_and_an_inactive_user_are_401_within_a_second() {
    let app = support::app().await;
    let (one, two) = (app.register_user().await, app.register_user().await);
    for user in [&one, &two] {
        assert_eq!(balance(&app, &user.key, &[]).await.status, 200);
    }
    let admin = app.database.connect().await;
    admin.execute("UPDATE api_keys SET is_active = false WHERE user_id = $1", &[&one.id]).await.unwrap();
    admin.execute("UPDATE users SET is_active = false WHERE id = $1", &[&two.id]).await.unwrap();
    let changed = std::time::Instant::now();
    for user in [&one, &two] {
        let refused = support::eventually("the refusal", async || {
            Some(balance(&app, &user.key, &[]).await).filter(|reply| reply.status != 200)
        })
        .await;
        assert_eq!(detail(&refused), (401, "API key is inactive".to_owned()));
    }
    assert!(changed.elapsed() <= Duration::from_secs(1), "{:?}", changed.elapsed());
}

#[actix_web::test]
async fn a_key_expires_at_its_time() {
    let app = support::app().await;
    let user = app.register_user().await;
    let key = key_with(&app, &user.key, "expiration_days", json!(1)).await;
    app.clock.advance(Duration::from_secs(86_400 - 60));
    assert_eq!(balance(&app, &key, &[]).await.status, 200);
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(detail(&balance(&app, &key, &[]).await), (401, "API key has expired".to_owned()));
    assert_eq!(balance(&app, &user.key, &[]).await.status, 200);
}

#[actix_web::test]
async fn a_key_whose_requests_are_used_up_is_429_and_not_worth_a_retry() {
    let app = support::app().await;
    let user = app.register_user().await;
    let key = key_with(&app, &user.key, "max_requests", json!(3)).await;
    app.database.connect().await.execute("UPDATE api_keys SET requests_used = 3 WHERE max_requests = 3", &[]).await.unwrap();
    let refused = balance(&app, &key, &[]).await;
    assert_eq!(detail(&refused), (429, "API key request limit reached".to_owned()));
    assert_eq!(refused.header("x-should-retry"), "false");
    assert_eq!(refused.header("retry-after"), "");
}

#[actix_web::test]
async fn an_address_list_holds_whatever_the_client_writes() {
    let app = support::app().await;
    let user = app.register_user().await;
    let elsewhere = key_with(&app, &user.key, "ip_allowlist", json!(["192.0.2.0/24", "2001:db8::/32"])).await;
    for forged in [&[][..], &[("x-forwarded-for", "192.0.2.1")], &[("forwarded", "for=192.0.2.1")], &[("x-real-ip", "192.0.2.1")]]
    {
        assert_eq!(detail(&balance(&app, &elsewhere, forged).await), (403, "IP address not allowed for this API key".to_owned()));
    }
    for here in [json!(["127.0.0.0/8"]), json!(["127.0.0.1"]), json!(["::ffff:127.0.0.1"]), json!([""]), json!([])] {
        let key = key_with(&app, &user.key, "ip_allowlist", here.clone()).await;
        assert_eq!(balance(&app, &key, &[]).await.status, 200, "{here}");
    }
}

#[actix_web::test]
async fn behind_a_trusted_proxy_the_forwarded_address_counts() {
    let app = support::app_with(&[("TRUSTED_PROXIES", "127.0.0.0/8,10.0.0.0/8")]).await;
    let user = app.register_user().await;
    let key = key_with(&app, &user.key, "ip_allowlist", json!(["192.0.2.0/24"])).await;
    let cases = [
        ("192.0.2.1", 200),
        ("203.0.113.9, 192.0.2.1", 200),
        ("192.0.2.1, 10.1.1.1", 200),
        ("192.0.2.1, 203.0.113.9", 403),
        ("192.0.2.1, 203.0.113.9, 10.1.1.1", 403),
        ("192.0.2.1, garbage", 403),
        ("", 403),
    ];
    for (forwarded, status) in cases {
        assert_eq!(balance(&app, &key, &[("x-forwarded-for", forwarded)]).await.status, status, "{forwarded}");
    }
}

#[actix_web::test]
async fn a_domain_list_demands_an_origin_of_the_domain() {
    let app = support::app().await;
    let user = app.register_user().await;
    let key = key_with(&app, &user.key, "domain_referrers", json!(["example.org"])).await;
    let cases: [(&[(&str, &str)], u16); 9] = [
        (&[], 403),
        (&[("origin", "https://example.org")], 200),
        (&[("origin", "https://app.example.org:8443")], 200),
        (&[("referer", "https://example.org/page?x")], 200),
        (&[("origin", "null"), ("referer", "https://example.org/")], 403),
        (&[("origin", "https://evil.net"), ("referer", "https://example.org/")], 403),
        (&[("referer", "https://evil.net/example.org")], 403),
        (&[("origin", "https://evilexample.org")], 403),
        (&[("origin", "https://example.org.evil.net")], 403),
    ];
    for (headers, status) in cases {
        let reply = balance(&app, &key, headers).await;
        assert_eq!(reply.status, status, "{headers:?}");
        if status == 403 {
            assert_eq!(detail(&reply).1, "Domain not allowed for this API key");
        }
    }
}

#[actix_web::test]
async fn last_used_is_written_within_seconds() {
    let app = support::app().await;
    let user = app.register_user().await;
    assert_eq!(balance(&app, &user.key, &[]).await.status, 200);
    support::eventually("last_used_at", async || {
        let keys = app.get_as(&user.key, "/user/api-keys").await.json();
        keys["keys"][0]["last_used_at"].is_string().then_some(())
    })
    .await;
}

#[actix_web::test]
async fn a_key_that_one_server_deletes_is_refused_by_another_within_a_second() {
    let one = support::app().await;
    let url = one.database.app_url.clone();
    let two = support::app_with(&[("DATABASE_URL", url.as_str()), ("DATABASE_ADMIN_URL", one.database.owner_url.as_str())]).await;
    let user = one.register_user().await;
    let made = one.post_as(&user.key, "/user/api-keys", json!({"key_name": "shared"})).await.json();
    let key = made["api_key"].as_str().unwrap();
    assert_eq!(balance(&two, key, &[]).await.status, 200);
    assert_eq!(one.delete_as(&user.key, &format!("/user/api-keys/{}", made["id"]), json!({})).await.status, 200);
    let deleted = std::time::Instant::now();
    while balance(&two, key, &[]).await.status == 200 {
        assert!(deleted.elapsed() <= Duration::from_secs(1), "still accepted");
    }
    assert_eq!(detail(&balance(&two, key, &[]).await), (401, "Invalid API key".to_owned()));
}
