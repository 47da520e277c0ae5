//! The counterpart of the malformed: odd requests that HTTP allows are served, so that a refusal means something.

use super::wire::exchange;
use super::{PATH, question};
use crate::support;

#[actix_web::test]
async fn odd_but_lawful_requests_are_served() {
    let app = support::app().await;
    let user = app.register_user().await;
    let body = question().to_string();
    let (size, half) = (format!("{:x}", body.len()), body.len() / 2);
    let chat = |headers: &str, sent: &str| {
        format!(
            "POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n{headers}\r\n\r\n{sent}",
            user.key
        )
    };
    let in_two = format!("{half:x}\r\n{}\r\n{:X}\r\n{}\r\n0\r\n\r\n", &body[..half], body.len() - half, &body[half..]);
    for request in [
        "GET /health HTTP/1.0\r\n\r\n".to_owned(),
        "\r\nGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "GET http://x/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "GET /health?a=%zz&b HTTP/1.1\r\nHost:x\r\nConnection:\tclose\t\r\nx-empty:\r\n\r\n".to_owned(),
        "GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, close\r\n\r\n"
            .to_owned(),
        chat(&format!("content-length:{}", body.len()), &body),
        chat("TRANSFER-ENCODING: CHUNKED", &format!("{size}\r\n{body}\r\n0\r\n\r\n")),
        chat("Transfer-Encoding: chunked", &in_two),
        chat("Transfer-Encoding: chunked", &format!("000{size};name=value\r\n{body}\r\n0;last\r\n\r\n")),
        chat(&format!("Expect: 100-continue\r\nContent-Length: {}", body.len()), &body),
    ] {
        let answer = exchange(&app, request.as_bytes()).await;
        assert_eq!(answer.statuses.last(), Some(&200), "{request}: {answer:?}");
    }
}
