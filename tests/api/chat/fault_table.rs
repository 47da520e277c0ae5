//! What each fault of a provider's comes to (P2): one table for plain answers and streams, whatever gateway the provider is
//! reached through.

use super::*;
use std::time::{Duration, Instant};

/// Time-outs are short, so that the silent ones end. Each fault is looked at alone: no retries, no breaker.
pub const SETTINGS: [(&str, &str); 6] = [
    ("FIRST_BYTE_TIMEOUT", "1"),
    ("BETWEEN_BYTES_TIMEOUT", "1"),
    ("TOTAL_TIMEOUT", "2"),
    ("CONNECT_TIMEOUT", "1"),
    ("RETRY_ATTEMPTS", "1"),
    ("BREAKER_FAILURES", "0"),
];
/// Far above them: every call has an end.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// Each fault is a model of the provider's, at 1,000 and 2,000 nano-dollars a token.
const COST: i64 = 3 * 1_000 + 5 * 2_000;

/// What the client sees, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A status that is no success; nothing is charged.
    Refused(u16),
    /// A success that is not charged.
    Free,
    /// A success; charged by the provider's count.
    Charged(i64),
    /// A success; charged by our own count.
    Estimated,
    /// A stream that ends in an error event; what arrived is charged by our own count.
    Broken,
}

use Seen::{Broken, Charged, Estimated, Free, Refused};

/// Fault, in a plain answer, in a stream.
pub const TABLE: [(&str, Seen, Seen); 33] = [
    ("silent", Refused(504), Refused(504)),
    ("headers-then-silence", Refused(504), Broken),
    ("hang-up", Refused(503), Refused(503)),
    ("rst", Refused(503), Refused(503)),
    ("slow", Refused(504), Broken),
    ("stall-after-3", Refused(504), Broken),
    ("eof-after-3", Refused(502), Broken),
    ("cut-after-3", Refused(503), Broken),
    ("rst-after-3", Refused(503), Broken),
    ("half-event-then-eof", Refused(502), Broken),
    ("bad-json", Refused(502), Broken),
    ("bad-utf8", Refused(502), Broken),
    ("status-400", Refused(400), Refused(400)),
    ("status-402", Refused(502), Refused(502)),
    ("status-404", Refused(404), Refused(404)),
    ("429", Refused(429), Refused(429)),
    ("retry-after-1", Refused(429), Refused(429)),
    ("500-html", Refused(502), Refused(502)),
    ("503", Refused(502), Refused(502)),
    ("529", Refused(502), Refused(502)),
    ("error-in-200", Refused(502), Broken),
    ("json-instead-of-sse", Charged(COST), Charged(COST)),
    ("long-line", Refused(502), Broken),
    ("endless", Refused(502), Broken),
    ("redirect", Refused(502), Refused(502)),
    // All events came, `[DONE]` too; that bytes are missing behind it harms nobody.
    ("lying-content-length", Refused(503), Charged(COST)),
    ("chunk-lies", Refused(502), Broken),
    ("gzip-unasked", Refused(502), Refused(502)),
    ("no-usage", Estimated, Estimated),
    ("zero-tokens", Free, Free),
    ("negative-usage", Charged(0), Charged(0)),
    ("usage-twice", Charged(COST), Charged(COST)),
    // The hold: 21 tokens of prompt (half its 42 bytes), 5 of completion.
    ("absurd-usage", Charged(21 * 1_000 + 5 * 2_000), Charged(21 * 1_000 + 5 * 2_000)),
];

/// Makes a plain call to that model, a new user's, and checks how it ends and what it costs.
pub async fn check_plain(app: &TestApp, model: &str, word: &str, expected: Seen) {
    let user = app.register_user().await;
    let started = Instant::now();
    let reply = ask(app, &user, json!({"model": model})).await;
    assert!(started.elapsed() < ENDS_WITHIN, "{word}");
    check_reply(word, expected, &reply);
    let charged = charge_of(expected, "tok1 tok2 tok3 tok4 tok5");
    assert_eq!(settled(app, &user).await, charged, "{word}: {}", reply.status);
}

fn check_reply(word: &str, expected: Seen, reply: &Reply) {
    let answer = reply.json();
    let Refused(status) = expected else {
        assert_eq!(reply.status, 200, "{word}: {reply:?}");
        return assert!(answer["gateway_usage"].is_object(), "{word}");
    };
    // `endless` may run into the bound of size or into the time-out.
    let is_expected =
        reply.status == status || (word == "endless" && reply.status == 504) || (word == "long-line" && reply.status == 504);
    assert!(is_expected, "{word}: {reply:?}");
    assert!(answer["error"]["message"].is_string() && answer["detail"].is_string(), "{word}: {answer}");
    if matches!(reply.status, 429 | 503) {
        assert_ne!(reply.header("retry-after"), "", "{word}");
    }
}

/// The same with a stream.
pub async fn check_stream(app: &TestApp, model: &str, word: &str, expected: Seen) {
    let user = app.register_user().await;
    let started = Instant::now();
    let response = request(app, &user, json!({"model": model, "stream": true})).send().await.expect(word);
    let status = response.status().as_u16();
    // A failure before the first event is told by the status.
    if status != 200 {
        let is_expected = expected == Refused(status) || (expected == Broken && matches!(status, 502..=504));
        assert!(is_expected, "{word}: {status}");
        let answer: Value = response.json().await.expect(word);
        assert!(answer["error"]["message"].is_string(), "{word}: {answer}");
        return assert_eq!(settled(app, &user).await.records, 0, "{word}");
    }
    assert!(!matches!(expected, Refused(_)), "{word}: a success");
    let events = read_events(response).await;
    assert!(started.elapsed() < ENDS_WITHIN, "{word}");
    if expected == Broken {
        check_broken(word, &events);
    } else {
        assert!(events.is_whole && events.is_done(), "{word}: {:?}", events.data.last());
    }
    assert_eq!(settled(app, &user).await, charge_of(expected, &events.content), "{word}: {:?}", events.content);
}

pub fn check_broken(word: &str, events: &Events) {
    let error = events.error().unwrap_or_else(|| panic!("{word}: {:?}", events.data.last()));
    assert!(error["message"].is_string() && error["type"].is_string() && error["code"].is_string(), "{word}: {error}");
    assert_eq!(error.as_object().unwrap().get("param"), Some(&Value::Null), "{word}");
    assert_eq!(events.errors, 1, "{word}");
    assert!(events.data.iter().all(|data| data != "[DONE]"), "{word}: a broken stream must not look whole");
    // Mutant: ending the body well after the error event turns this red.
    assert!(!events.is_whole, "{word}: the connection must close");
}

fn charge_of(seen: Seen, content: &str) -> Money {
    let (charged, records) = match seen {
        Refused(_) | Free => (0, 0),
        Charged(nanos) => (nanos, 1),
        Estimated => (estimated_nanos(content, 1_000, 2_000), 1),
        // Nothing arrived, nothing is charged.
        Broken if content.is_empty() => (0, 0),
        Broken => (estimated_nanos(content, 1_000, 2_000), 1),
    };
    Money { charged, records, open_holds: 0, held: 0 }
}
