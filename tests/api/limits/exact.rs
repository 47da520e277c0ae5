//! What is let through, to the request and to the token.

use super::*;
use futures_util::stream::{self, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_sim::provider::Behaviour;

#[actix_web::test]
async fn a_limit_of_100_admits_exactly_100_of_1000_concurrent_requests_and_the_others_cost_nothing() {
    let app = support::app().await;
    away_from_borders(&app);
    let user = app.register_user().await;
    grant(&app, &user, json!({"requests_per_hour": 100})).await;
    let replies: Vec<_> = stream::iter(0..1_000).map(|_| ask(&app, &user)).buffer_unordered(250).collect().await;
    let (served, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    assert_eq!((served.len(), refused.len()), (100, 900));
    for reply in &refused {
        assert_eq!((reply.status, reply.header("x-ratelimit-remaining")), (429, "0"));
        assert_eq!(reply.json()["detail"], "Rate limit exceeded: Hour request limit exceeded");
        let wait: i64 = reply.header("retry-after").parse().unwrap();
        assert!((2_900..=2_995).contains(&wait), "to the hour's end: {wait}");
    }
    assert_eq!(app.database.number("SELECT count(*) FROM usage_records").await, 100);
    eventually("no hold is open", async || {
        (app.database.number("SELECT count(*) FROM holds WHERE state = 0").await == 0).then_some(())
    })
    .await;
    assert_eq!(app.database.number("SELECT count(*) FROM holds").await, 100, "a refusal holds nothing");
    assert_eq!(used(&app, &user, "hour").await.0, 100, "a refusal counts nothing");
    app.clock.advance(Duration::from_secs(3_000));
    assert_eq!(ask(&app, &user).await.status, 200, "the next hour");
}

#[actix_web::test]
async fn tokens_are_admitted_as_asked_and_corrected_to_the_real_ones() {
    let app = support::app().await;
    away_from_borders(&app);
    let user = app.register_user().await;
    grant(&app, &user, json!({"tokens_per_hour": 1_000})).await;
    let reply = app.post_as(&user.key, CHAT, question(900)).await;
    let real = reply.json()["gateway_usage"]["tokens_charged"].as_i64().unwrap();
    // Mutant: a settle that corrects nothing turns this red.
    assert_eq!(used(&app, &user, "hour").await, (1, real));
    let refused = app.post_as(&user.key, CHAT, question(1_001 - real)).await;
    assert_eq!(
        (refused.status, refused.json()["detail"].clone()),
        (429, json!("Rate limit exceeded: Hour token limit exceeded"))
    );
    assert_eq!(refused.header("x-should-retry"), if 1_001 - real + 12 > 1_000 { "false" } else { "" });
    assert_eq!(used(&app, &user, "hour").await, (1, real));
}

#[actix_web::test]
async fn a_call_that_came_to_nothing_gives_back_its_tokens_and_its_part_of_the_day() {
    let app = support::app().await;
    away_from_borders(&app);
    let user = app.register_user().await;
    app.sim.set_default(Behaviour::parse("status:500").unwrap());
    assert_eq!(ask(&app, &user).await.status, 502);
    eventually("the call has ended", async || (used(&app, &user, "day").await == (0, 0)).then_some(())).await;
    assert_eq!(used(&app, &user, "minute").await, (1, 0), "what guards the server keeps the request");
}

#[actix_web::test]
async fn a_burst_is_refused_with_the_time_until_there_is_room() {
    let app = support::app().await;
    let user = app.register_user().await;
    grant(&app, &user, json!({"burst_limit": 3})).await;
    for _ in 0..3 {
        assert_eq!(ask(&app, &user).await.status, 200);
    }
    let refused = ask(&app, &user).await;
    assert_eq!((refused.status, refused.json()["detail"].clone()), (429, json!("Rate limit exceeded: Burst limit exceeded")));
    assert!((1..=20).contains(&refused.header("retry-after").parse::<i64>().unwrap()), "{refused:?}");
    app.clock.advance(Duration::from_secs(20));
    assert_eq!(ask(&app, &user).await.status, 200);
}

#[actix_web::test]
async fn a_client_that_leaves_a_stream_gives_its_place_back() {
    let app = support::app().await;
    let user = app.register_user().await;
    grant(&app, &user, json!({"concurrency_limit": 1})).await;
    app.sim.set_default(Behaviour::parse("token-delay:20").unwrap());
    let mut body = question(4_000);
    body["stream"] = json!(true);
    let body = body.to_string();
    let mut socket = TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        user.key,
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut first = [0; 512];
    assert!(socket.read(&mut first).await.unwrap() > 0);
    let refused = ask(&app, &user).await;
    assert_eq!(
        (refused.status, refused.json()["detail"].clone()),
        (429, json!("Rate limit exceeded: Concurrency limit exceeded"))
    );
    assert_eq!(refused.header("retry-after"), "1");
    drop(socket);
    app.sim.set_default(Behaviour::default());
    eventually("the place is free", async || (ask(&app, &user).await.status == 200).then_some(())).await;
}

#[actix_web::test]
async fn limits_that_an_operator_sets_bind_the_next_call() {
    let app = support::app().await;
    away_from_borders(&app);
    let user = app.register_user().await;
    assert_eq!(ask(&app, &user).await.status, 200);
    grant(&app, &user, json!({"requests_per_hour": 1})).await;
    assert_eq!(ask(&app, &user).await.status, 429);
    grant(&app, &user, json!({"requests_per_hour": 2})).await;
    assert_eq!(ask(&app, &user).await.status, 200);
}

#[actix_web::test]
async fn an_address_that_sends_too_much_is_refused_at_every_door() {
    let app = support::app_with(&[("RATE_LIMIT_ADDRESS_PER_MINUTE", "5")]).await;
    away_from_borders(&app);
    for _ in 0..5 {
        assert_eq!(app.get("/nowhere").await.status, 404);
    }
    let refused = app.get("/health").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json(), json!({"detail": "Rate limit exceeded: Too many requests from this address"}));
    assert_eq!((refused.header("x-ratelimit-limit"), refused.header("x-ratelimit-remaining")), ("5", "0"));
    assert!((1..=55).contains(&refused.header("retry-after").parse::<i64>().unwrap()));
    assert_eq!(app.get("/v1/models").await.json()["error"]["code"], "rate_limit_exceeded");
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(app.get("/health").await.status, 200);
}
