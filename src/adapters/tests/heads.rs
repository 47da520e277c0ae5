//! What an answer's head says, and what is believed of it.

use super::*;

async fn of_head(head: &str, body: &str, streamed: bool) -> Option<GatewayError> {
    let length = body.len();
    let base_url = canned(format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}")).await;
    end(&gateway(base_url, LONG), call("fast", streamed)).await
}

#[tokio::test]
async fn a_page_of_html_is_no_answer() {
    for content_type in ["text/html", "text/html; charset=utf-8", "TEXT/HTML", "text/plain", "application/octet-stream", ""] {
        for streamed in [false, true] {
            let end = of_head(&format!("200 OK\r\ncontent-type: {content_type}"), "<html>", streamed).await;
            assert!(matches!(end, Some(GatewayError::Malformed(_))), "{content_type:?}: {end:?}");
        }
    }
    assert!(matches!(of_head("200 OK", "{}", false).await, Some(GatewayError::Malformed(_))));
}

#[tokio::test]
async fn json_in_place_of_events_is_handed_out_as_json_and_events_in_place_of_json_are_not() {
    let provider = provider().await;
    let answer = gateway(provider.base_url(), LONG).complete(call("json-instead-of-sse", true)).await.unwrap();
    assert_eq!(answer.content_type, "application/json");
    let end = of_head("200 OK\r\ncontent-type: text/event-stream", "data: [DONE]\n\n", false).await;
    assert!(matches!(end, Some(GatewayError::Malformed(_))));
    assert_eq!(of_head("200 OK\r\ncontent-type: Application/Problem+JSON;x=y", "{}", false).await, None);
}

#[tokio::test]
async fn a_status_comes_with_its_body_and_its_retry_after() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), LONG);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let cases = [
        ("429", 429, None),
        ("retry-after:7", 429, seconds(7)),
        ("status:503;retry-after:1", 503, seconds(1)),
        ("529", 529, None),
        ("status-400", 400, None),
        ("status-402", 402, None),
        ("status-404", 404, None),
        ("500-html", 500, None),
    ];
    for (behaviour, code, wait) in cases {
        for streamed in [false, true] {
            let end = end(&gateway, call(behaviour, streamed)).await;
            let Some(GatewayError::Status { status, body, retry_after }) = end else { panic!("{behaviour}: {end:?}") };
            assert_eq!((status, retry_after), (code, wait), "{behaviour}");
            assert!(!body.is_empty());
        }
    }
}

#[tokio::test]
async fn a_retry_after_may_be_a_date_and_nonsense_is_none() {
    let now = NoonClock.now();
    let wait = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", value.parse().unwrap());
        crate::adapters::answer::retry_after(&headers, now)
    };
    assert_eq!(wait("Sun, 22 Nov 2026 12:01:30 GMT"), Some(Duration::from_secs(90)));
    assert_eq!(wait("Sun, 22 Nov 2026 11:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(wait(" 5 "), Some(Duration::from_secs(5)));
    assert_eq!(wait("18446744073709551615"), Some(Duration::from_secs(86_400)));
    for nonsense in ["", "-1", "1.5", "soon", "Sun, 99 Nov 2026 12:00:00 GMT"] {
        assert_eq!(wait(nonsense), None, "{nonsense:?}");
    }
}

#[tokio::test]
async fn of_a_refusals_body_64_kib_are_kept() {
    let end = of_head("500 Oops\r\ncontent-type: text/html", &"x".repeat(1 << 20), false).await;
    let Some(GatewayError::Status { body, .. }) = end else { panic!("{end:?}") };
    assert_eq!(body.len(), 64 << 10);
}

#[tokio::test]
async fn a_refusal_whose_body_breaks_is_still_that_refusal() {
    let gateway = gateway(canned("HTTP/1.1 429 Slow\r\ncontent-length: 100\r\n\r\n{\"error\"").await, LONG);
    let end = end(&gateway, call("fast", false)).await;
    assert!(matches!(&end, Some(GatewayError::Status { status: 429, body, .. }) if body == "{\"error\""), "{end:?}");
}

#[tokio::test]
async fn a_plain_answer_that_announces_too_much_is_not_read() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{}";
    assert_eq!(end(&gateway(canned(head).await, LONG), call("fast", false)).await, Some(GatewayError::TooLarge));
}

#[tokio::test]
async fn statuses_that_are_no_answer_are_malformed() {
    for head in ["304 Not Modified", "301 Moved\r\nlocation: http://127.0.0.1:1/", "999 What"] {
        let end = of_head(head, "", false).await;
        assert!(matches!(end, Some(GatewayError::Malformed(_))), "{head}: {end:?}");
    }
}
