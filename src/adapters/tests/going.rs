//! What is sent, and what happens upstream when the caller goes.

use super::*;

/// Promise P3.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test]
async fn an_answer_comes_whole_with_its_content_type() {
    let provider = provider().await;
    let gateway = gateway(format!("{}/", provider.base_url()), LONG);
    let answer = gateway.complete(call("fast", false)).await.unwrap();
    assert_eq!(answer.content_type, "application/json");
    let (body, _) = read(answer).await;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["usage"]["completion_tokens"], 8);
    let answer = gateway.complete(call("fast", true)).await.unwrap();
    assert_eq!(answer.content_type, "text/event-stream");
    let (body, _) = read(answer).await;
    assert!(body.ends_with(b"data: [DONE]\n\n"));
}

#[tokio::test]
async fn the_request_carries_our_headers_and_the_calls_and_no_others() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), LONG);
    let mut call = call("fast", true);
    call.headers.push(("x-portkey-provider", "openai".to_owned()));
    read(gateway.complete(call).await.unwrap()).await;
    let request = provider.requests().remove(0);
    assert_eq!(request.path, "/api/v1/chat/completions");
    assert!(request.carries(&format!("Bearer {KEY}")));
    let mut names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let all = [
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-portkey-provider",
        "x-request-id",
        "x-sim-behaviour",
    ];
    assert_eq!(names, all);
    assert_eq!(request.header("x-request-id"), Some("gen-0123"));
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn a_dropped_stream_closes_the_upstream_connection_at_once() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), LONG);
    for behaviour in ["endless;token-delay-20", "stall-after-2", "endless"] {
        provider.reset();
        let mut answer = gateway.complete(call(behaviour, true)).await.unwrap();
        answer.body.next().await.unwrap().unwrap();
        // Mutant: `std::mem::forget(answer)` in place of the drop, and this is red.
        drop(answer);
        let took = eventually("cancelled", || provider.stats().cancelled == 1).await;
        assert!(took < SOON, "{behaviour}: {took:?}");
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_before_its_head_is_cancelled_upstream() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), LONG);
    for streamed in [false, true] {
        provider.reset();
        let answering = gateway.complete(call("silent", streamed));
        assert!(tokio::time::timeout(Duration::from_millis(200), answering).await.is_err());
        let took = eventually("cancelled", || provider.stats().cancelled == 1).await;
        assert!(took < SOON, "{took:?}");
    }
}

#[tokio::test]
async fn a_body_that_ran_out_of_time_is_closed_although_its_owner_keeps_it() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), SHORT);
    let mut answer = gateway.complete(call("stall-after-2", true)).await.unwrap();
    while let Some(Ok(_)) = answer.body.next().await {}
    // Mutant: without dropping the response at an error the connection stays until the owner goes.
    let took = eventually("cancelled", || provider.stats().cancelled == 1).await;
    assert!(took < SOON, "{took:?}");
    drop(answer);
}

#[tokio::test]
async fn a_setting_that_no_request_can_carry_is_refused_without_showing_a_secret() {
    let build = |settings: GatewaySettings| {
        let clock: Arc<dyn Clock> = Arc::new(NoonClock);
        Gateways::build(&[settings], LONG, &clock).err()
    };
    for base_url in ["", "openrouter.ai/api", "ftp://openrouter.ai", "file:///etc/passwd", "http://"] {
        assert!(build(settings(base_url.to_owned())).is_some(), "{base_url:?}");
    }
    let mut bad = settings("http://127.0.0.1:1/v1".to_owned());
    bad.api_key = "sk-or\nvery-secret".into();
    let shown = format!("{bad:?} {:?}", build(bad.clone()).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn an_error_shows_neither_the_key_nor_the_address() {
    let gateway = gateway("http://user:hidden@127.0.0.1:1/v1".to_owned(), LONG);
    let shown = format!("{:?}", end(&gateway, call("fast", false)).await.unwrap());
    assert!(!shown.contains("hidden") && !shown.contains(KEY) && !shown.contains("127.0.0.1:1/"), "{shown}");
}

#[tokio::test]
async fn a_call_whose_headers_cannot_be_sent_is_no_request() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), LONG);
    let mut smuggling = call("fast", false);
    smuggling.headers.push(("x-portkey-provider", "openai\r\nx-evil: 1".to_owned()));
    assert!(matches!(gateway.complete(smuggling).await.err(), Some(GatewayError::Malformed(_))));
    assert_eq!(provider.stats().requests, 0);
}
