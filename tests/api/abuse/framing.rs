//! Requests whose HTTP is wrong (P5): framing that proxies read in two ways, heads that are none, chunks that lie.
//!
//! Each carries a good key and, behind it, a second request. Were any of them read as lawful, it would be answered 2xx and
//! charged; were its end misread, the second would be served.

use super::wire::{canary, exchange};
use super::{PATH, assert_costs_nothing, assert_well, question};
use crate::support;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

/// Short, as some of the heads and bodies never end.
const SETTINGS: [(&str, &str); 3] = [("HEAD_TIMEOUT", "1"), ("BODY_TIMEOUT", "1"), ("KEEP_ALIVE_TIMEOUT", "2")];

/// What must become of the request behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Where the wrong one ends can't be known.
    Closed,
    /// Only its meaning is wrong.
    Served,
}

struct Case {
    name: String,
    bytes: Vec<u8>,
    then: Then,
}

/// Headers of lengths, with the body of a good completion behind them. `LEN` is its length.
const LENGTHS: [&str; 30] = [
    "Content-Length: LEN\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: LEN",
    "Content-Length: LEN\r\nContent-Length: 0",
    "Content-Length: 0\r\nContent-Length: LEN",
    "Content-Length: LEN, LEN",
    "Content-Length: LEN,0",
    "Content-Length: +LEN",
    "Content-Length: -LEN",
    "Content-Length: 0xLEN",
    "Content-Length: LEN.0",
    "Content-Length: LENe0",
    "Content-Length: LEN 0",
    "Content-Length: 1_0",
    "Content-Length:",
    "Content-Length: ١٢٣",
    "Content-Length: LEN;",
    "Content-Length: \"LEN\"",
    "Content-Length: 18446744073709551616",
    "Content-Length: 99999999999999999999999999",
    "Content-Length: 18446744073709551615",
    "Content-Length: 9223372036854775808",
    "Content-Length: 33554433",
    "Content-Length : LEN",
    "Content-Length\t: LEN",
    " Content-Length: LEN",
    "Content-Length:\r\n LEN",
    "X-Folded: a\r\n b\r\nContent-Length: LEN",
    "Content-Length: LEN\r\nContent\0-Length: 0",
    "Content-Length: L\0EN",
    "Content-Length: LEN\rX: y",
];

/// Encodings that are not just `chunked`, with chunks behind them.
const ENCODINGS: [&str; 22] = [
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked, identity",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: \x0bchunked",
    "Transfer-Encoding: chunked\x0b",
    "Transfer-Encoding: chunked\0",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunk",
    "Transfer-Encoding: cow",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    " Transfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked, gzip",
    "Transfer\0-Encoding: chunked",
];

/// Bodies in chunks that are none. `SIZE` is the body's, in hexadecimal, `BODY` the body.
const CHUNKS: [&str; 28] = [
    "\r\nBODY\r\n0\r\n\r\n",
    "-SIZE\r\nBODY\r\n0\r\n\r\n",
    "+SIZE\r\nBODY\r\n0\r\n\r\n",
    "0xSIZE\r\nBODY\r\n0\r\n\r\n",
    "g\r\nBODY\r\n0\r\n\r\n",
    "SIZEg\r\nBODY\r\n0\r\n\r\n",
    "S_IZE\r\nBODY\r\n0\r\n\r\n",
    "fffffffffffffffff\r\nBODY\r\n0\r\n\r\n",
    "ffffffffffffffff\r\nBODY\r\n0\r\n\r\n",
    "7fffffffffffffff\r\nBODY\r\n0\r\n\r\n",
    "10000000000000000SIZE\r\nBODY\r\n0\r\n\r\n",
    "SIZE\nBODY\r\n0\r\n\r\n",
    "SIZE\rBODY\r\n0\r\n\r\n",
    "SIZE\n\nBODY\r\n0\r\n\r\n",
    "SIZE;a\nb\r\nBODY\r\n0\r\n\r\n",
    "SIZE;a\0b\r\nBODY\r\n0\r\n\r\n",
    "SIZE\r\nBODY0\r\n\r\n",
    "SIZE\r\nBODY\n0\r\n\r\n",
    "SIZE\r\nBODY\r0\r\n\r\n",
    "SIZE\r\nBODYxx\r\n0\r\n\r\n",
    "1\r\nBODY\r\n0\r\n\r\n",
    "SIZE0\r\nBODY\r\n0\r\n\r\n",
    "SIZE\r\nBODY\r\nSIZE\r\n",
    "SIZE\r\nBODY\r\n-0\r\n\r\n",
    "SIZE\r\nBODY\r\n\r\n\r\n",
    "SIZE\r\nBODY\r\n0\n\n",
    " \r\nBODY\r\n0\r\n\r\n",
    "{\"model\"\r\n0\r\n\r\n",
];

/// First lines and whole heads that make no request.
const HEADS: [&[u8]; 43] = [
    b"GET\r\n\r\n",
    b"GET /health\r\n\r\n",
    b"GET /health HTTP/2.0\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/1.2\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/1.10\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/01.1\r\nHost: x\r\n\r\n",
    b"GET /health http/1.1\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/1,1\r\nHost: x\r\n\r\n",
    b"GET /health HTTP /1.1\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/1.1 x\r\nHost: x\r\n\r\n",
    b"GET /health HTTPS/1.1\r\nHost: x\r\n\r\n",
    b"GET /health FTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /hea lth HTTP/1.1\r\nHost: x\r\n\r\n",
    b" GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"G\0T /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"G(T /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /hea\0lth HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /hea\x7flth HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /hea\xfflth HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /hea\x01lth HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://[::1/health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/1.1\rHost: x\r\r",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\r\n\r\n\0\r\nQUIT\n!\0\0\0\0",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 this is the hello of TLS \r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
    b"EHLO example.com\r\n\r\n",
    b"\0\0\0\0\r\n\r\n",
    b"\xff\xfe\xfd\xfc\r\n\r\n",
    b"\xef\xbb\xbfGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"*1\r\n$4\r\nPING\r\n\r\n",
    b"GET /health HTTP/1.1\r\n: x\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n",
    b"GET /health HTTP/1.1\r\n Host: x\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX\xff: a\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX Y: a\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\n{}: a\r\n\r\n",
];

/// Heads that never end: the deadline answers.
const UNFINISHED: [&[u8]; 6] = [
    b"G",
    b"GET /health HTTP/1.1",
    b"GET /health HTTP/1.1\r\nHost: x\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX-Half",
    b"POST /auth/register HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    b"POST /auth/register HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
];

/// No host, or more than one.
const HOSTS: [&str; 5] = ["", "Host: x\r\nHost: x\r\n", "Host: x\r\nHost: y\r\n", "Host: x\0\r\n", "Host : x\r\n"];

/// One host that is none; the framing is right.
const ODD_HOSTS: [&str; 8] = ["a b", "a/b", "[::1", "::1]", "user@x", "x?y", "x#y", "x\\y"];

/// Targets that lead nowhere, or must not lead outside. The framing is right, so the connection goes on.
const TARGETS: [&str; 32] = [
    "health",
    "//health",
    "/health/",
    "/HEALTH",
    "/./health/../nowhere",
    "/../../etc/passwd",
    "/docs/../../etc/passwd",
    "/docs/..%2f..%2fetc%2fpasswd",
    "/docs/%2e%2e/%2e%2e/etc/passwd",
    "/docs/%00",
    "/docs/..%5c..%5cwindows",
    "/docs//etc/passwd",
    "/%",
    "/%zz",
    "/%0",
    "/%00",
    "/health%00",
    "/health%20",
    "/health%0d%0aX:%20y",
    "/%ff%fe",
    "/%c0%af",
    "/v1/models/%ff%fe",
    "/v1/models/%",
    "/v1/models/%00",
    "/v1/models/..%2f..%2f",
    "/models?limit=%ff",
    "/models?limit=-1",
    "/models?limit=99999999999999999999",
    "/models?limit=1&limit=x",
    "/models?offset=NaN",
    "/models?gateway=%00",
    "/health;jsessionid=1",
];

/// Headers that a door reads and that make no sense there. `KEY` is a good key.
const MEANINGS: [&str; 21] = [
    "Authorization: KEY",
    "Authorization: Bearer",
    "Authorization: Bearer KEYx",
    "Authorization: Bearer KEY KEY",
    "Authorization: Bearer \u{e9}",
    "Authorization: Basic KEY",
    "Authorization: Bearer KEY\r\nAuthorization: Bearer KEY",
    "Authorization: Bearer KEY\r\nAuthorization: Bearer other",
    "Authorization: Bearer KEY, Bearer KEY",
    "Authorization: Bearer\u{a0}KEY",
    "X-API-Key: KEY\r\nX-API-Key: KEY",
    "X-API-Key: \u{e9}",
    "X-API-Key: KEYx",
    "Proxy-Authorization: Bearer KEY",
    "Cookie: authorization=Bearer%20KEY",
    "Authorization: Bearer KEY\r\nIdempotency-Key:",
    "Authorization: Bearer KEY\r\nIdempotency-Key: \u{e9}",
    "Authorization: Bearer KEY\r\nIdempotency-Key: LONG",
    "Authorization: Bearer KEY\r\nIdempotency-Key: a\r\nIdempotency-Key: b",
    "Authorization: Bearer KEY\r\nContent-Encoding: gzip",
    "Authorization: Bearer KEY\r\nContent-Encoding: br",
];

/// Methods that no door takes.
const METHODS: [&str; 9] = ["get", "TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "GETGETGETGETGETGETGETGETGET", "A", "QUERY"];

fn cases(key: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |kind: &str, text: &[u8], then: Then, bytes: Vec<u8>| {
        let shown = String::from_utf8_lossy(&text[..text.len().min(80)]).into_owned();
        cases.push(Case { name: format!("{kind} {shown:?}"), bytes, then });
    };
    let body = question().to_string();
    let chat = |further: &str| {
        format!(
            "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n{further}\r\n\r\n"
        )
    };
    for text in LENGTHS {
        let bytes = chat(&text.replace("LEN", &body.len().to_string())) + &body;
        add("length", text.as_bytes(), Then::Closed, bytes.into_bytes());
    }
    let size = format!("{:x}", body.len());
    for text in ENCODINGS {
        let bytes = chat(text) + &format!("{size}\r\n{body}\r\n0\r\n\r\n");
        add("encoding", text.as_bytes(), Then::Closed, bytes.into_bytes());
    }
    for text in CHUNKS {
        let bytes = chat("Transfer-Encoding: chunked") + &text.replace("SIZE", &size).replace("BODY", &body);
        add("chunk", text.as_bytes(), Then::Closed, bytes.into_bytes());
    }
    for head in HEADS {
        add("head", head, Then::Closed, head.to_vec());
    }
    for host in HOSTS {
        let bytes = format!("GET /health HTTP/1.1\r\n{host}\r\n");
        add("host", host.as_bytes(), Then::Closed, bytes.into_bytes());
    }
    for host in ODD_HOSTS {
        let bytes = format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n");
        add("host", host.as_bytes(), Then::Served, bytes.into_bytes());
    }
    for target in TARGETS {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        add("target", target.as_bytes(), Then::Served, bytes.into_bytes());
    }
    for method in METHODS {
        let bytes = format!("{method} /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        add("method", method.as_bytes(), Then::Served, bytes.into_bytes());
    }
    for text in MEANINGS {
        let headers = text.replace("KEY", key).replace("LONG", &"k".repeat(256));
        let bytes = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\n{headers}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        add("meaning", text.as_bytes(), Then::Served, bytes.into_bytes());
    }
    for (name, bytes) in too_much() {
        add("too much", name.as_bytes(), Then::Closed, bytes);
    }
    cases
}

/// Heads above their bounds.
fn too_much() -> [(&'static str, Vec<u8>); 6] {
    let head = |line: &str, further: String| format!("{line} HTTP/1.1\r\nHost: x\r\n{further}\r\n").into_bytes();
    let get = |further: String| head("GET /health", further);
    [
        ("200 headers", get((0..200).map(|n| format!("X-{n}: y\r\n")).collect())),
        ("10,000 headers", get((0..10_000).map(|n| format!("X-{n}: y\r\n")).collect())),
        ("a header of 200 KiB", get(format!("X: {}\r\n", "y".repeat(200 << 10)))),
        ("a header's name of 200 KiB", get(format!("{}: y\r\n", "x".repeat(200 << 10)))),
        ("a path of 200 KiB", head(&format!("GET /{}", "x".repeat(200 << 10)), String::new())),
        ("a method of 200 KiB", head(&format!("{} /health", "X".repeat(200 << 10)), String::new())),
    ]
}

#[actix_web::test]
async fn no_malformed_request_is_served_charged_or_hides_another() {
    let app = &support::app_with(&SETTINGS).await;
    let user = app.register_user().await;
    let cases = cases(&user.key);
    let count = cases.len();
    let checks = cases.into_iter().enumerate().map(|(number, case)| async move {
        let id = format!("behind-{number}");
        let answer = exchange(app, &[case.bytes.clone(), canary(&id)].concat()).await;
        verdict(&case, answer.statuses.first().copied(), answer.serves(&id)).err().map(|wrong| format!("{wrong}: {answer:?}"))
    });
    let wrong: Vec<String> = stream::iter(checks).buffer_unordered(16).filter_map(std::future::ready).collect().await;
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    for (head, answer) in UNFINISHED.iter().zip(join_all(UNFINISHED.iter().map(|head| exchange(app, head))).await) {
        assert_eq!(answer.statuses, [408], "{}: {answer:?}", String::from_utf8_lossy(head));
    }
    assert!(count + UNFINISHED.len() >= 200);
    println!("promise P5: {} malformed HTTP cases, 0 answered 2xx or 5xx, 0 smuggled", count + UNFINISHED.len());
    assert_costs_nothing(app, &user).await;
    assert_well(app, &user).await;
}

/// The first request makes the key known, and what the key has used is not read before its answer.
#[actix_web::test]
async fn a_broken_chunk_is_answered_also_when_little_is_known_of_the_key_yet() {
    let app = &support::app_with(&SETTINGS).await;
    for _ in 0..3 {
        let user = app.register_user().await;
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n",
            user.key
        );
        let broken = format!("{head}g\r\n");
        let breaking = async {
            for _ in 0..20 {
                let answer = exchange(app, broken.as_bytes()).await;
                assert_eq!(answer.statuses, [400], "{answer:?}");
            }
        };
        let (stalled, ()) = futures_util::join!(exchange(app, head.as_bytes()), breaking);
        assert_eq!(stalled.statuses, [408], "{stalled:?}");
    }
}

fn verdict(case: &Case, status: Option<u16>, serves_next: bool) -> Result<(), String> {
    let is_refused = matches!(status, Some(400..=499));
    if !is_refused {
        return Err(format!("{} is answered {status:?}", case.name));
    }
    match (case.then, serves_next) {
        (Then::Closed, true) => Err(format!("{} lets a request behind it through", case.name)),
        (Then::Served, false) => Err(format!("{} ends a connection that is whole", case.name)),
        _ => Ok(()),
    }
}
