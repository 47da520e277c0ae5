//! Bodies that are no JSON, or JSON of a wrong shape (P5): 4xx on a connection that goes on, and nothing is charged.

use super::wire::{canary, exchange};
use super::{PATH, assert_costs_nothing, assert_well};
use crate::support::{self, ADMIN_KEY, TestApp};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

/// What no JSON parser may take, and what no door has a use for.
const GARBAGE: [&[u8]; 47] = [
    b"",
    b" ",
    b"\0",
    b"{",
    b"}",
    b"[",
    b"{}}",
    b"{}{}",
    b"{},",
    b"nul",
    b"null",
    b"true",
    b"7",
    b"-",
    b"\"text\"",
    b"[]",
    b"[{}]",
    b"{\"a\"}",
    b"{\"a\":}",
    b"{\"a\":1,}",
    b"{,}",
    b"{a:1}",
    b"{'a':1}",
    b"{\"a\":01}",
    b"{\"a\":+1}",
    b"{\"a\":.5}",
    b"{\"a\":1.}",
    b"{\"a\":1e}",
    b"{\"a\":NaN}",
    b"{\"a\":Infinity}",
    b"{\"a\":-Infinity}",
    b"{\"a\":0x10}",
    b"{\"a\":undefined}",
    b"{\"a\":\"\x01\"}",
    b"{\"a\":\"\n\"}",
    b"{\"a\":\"\\x\"}",
    b"{\"a\":\"\\u12\"}",
    b"{\"a\":\"\xff\xfe\"}",
    b"{\"\xc3\x28\":1}",
    b"{\"a\":\"\xed\xa0\x80\"}",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\0}\0",
    b"{}//",
    b"/**/{}",
    b"{\"a\":1}\0",
    b"<?xml version=\"1.0\"?><a/>",
    b"a=1&b=2",
];

/// An object's values without their names, in the order of our source.
const LISTS: [(&str, &str); 3] = [
    ("/auth/register", r#"["eve","eve@example.com","email",1,"live","key"]"#),
    ("/user/api-keys", r#"["key","live",{"read":["*"]},1,1,[],[]]"#),
    ("/admin/add_credits", r#"["KEY",1]"#),
];

/// Doors that take JSON, and whose key opens them.
const DOORS: [(&str, &str, Who); 7] = [
    ("POST", PATH, Who::User),
    ("POST", "/auth/register", Who::Nobody),
    ("POST", "/user/api-keys", Who::User),
    ("DELETE", "/user/api-keys/999999", Who::User),
    ("POST", "/admin/add_credits", Who::Admin),
    ("POST", "/admin/assign-plan", Who::Admin),
    ("POST", "/admin/limit", Who::Admin),
];

#[derive(Clone, Copy)]
enum Who {
    Nobody,
    User,
    Admin,
}

/// Every value that a field may be given.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(7),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(""),
        json!("text"),
        json!("7"),
        json!([]),
        json!([null]),
        json!([7]),
        json!([[]]),
        json!({}),
        json!({"a": 1}),
    ]
}

/// A field of a completion, and whether a value is right for it.
type Field = (&'static str, fn(&Value) -> bool);

const FIELDS: [Field; 15] = [
    // A model that nobody has is 404.
    ("model", |_| false),
    ("models", |value| value.is_null() || value == &json!([])),
    ("messages", |_| false),
    ("messages.0", |_| false),
    ("messages.0.role", |value| value.as_str().is_some_and(|role| !role.is_empty())),
    ("messages.0.content", |value| value.is_string() || value == &json!([])),
    ("messages.0.content.0", |_| false),
    ("messages.0.content.0.type", |value| value.is_string()),
    ("max_tokens", |value| value.is_null() || value.as_i64().is_some_and(|tokens| tokens > 0)),
    ("max_completion_tokens", |value| value.is_null() || value.as_i64().is_some_and(|tokens| tokens > 0)),
    ("n", |value| value.is_null() || value.as_i64().is_some_and(|choices| (1..=128).contains(&choices))),
    ("stream", |value| value.is_null() || value.is_boolean()),
    ("stream_options", |value| value.is_null() || value.is_object()),
    ("provider", |value| value.is_null() || value.is_object() || value == ""),
    ("portkey_provider", |value| value.is_null() || value.as_str().is_some_and(|text| text.len() < 256)),
];

/// A completion with that at a path such as `messages.0.role`.
fn with(path: &str, value: &Value) -> Value {
    let mut body = json!({
        "model": "openai/gpt-4o-mini", "max_tokens": 4,
        "messages": [{"role": "user", "content": "Hello"}],
    });
    if path.starts_with("messages.0.content.0") {
        body["messages"][0]["content"] = json!([{"type": "text", "text": "Hello"}]);
    }
    let mut place = &mut body;
    for step in path.split('.') {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    *place = value.clone();
    body
}

/// Whole bodies that are JSON and still wrong.
fn traps() -> Vec<(&'static str, Vec<u8>)> {
    const MESSAGES: &str = r#""messages":[{"role":"user","content":"Hello"}]"#;
    let chat = |further: &str| format!(r#"{{"model":"openai/gpt-4o-mini",{MESSAGES}{further}}}"#).into_bytes();
    let deep = |open: &str, close: &str, levels: usize| chat(&format!(r#","x":{}{}"#, open.repeat(levels), close.repeat(levels)));
    let many: String = (0..2_000).map(|n| format!(r#","x{n}":1"#)).collect();
    vec![
        ("a bomb of lists", deep("[", "]", 200)),
        ("a bomb of objects", deep(r#"{"a":"#, "}", 200).into_iter().collect()),
        ("a bomb of 100,000 lists", deep("[", "]", 100_000)),
        ("a bomb that is cut", chat(&format!(r#","x":{}"#, "[".repeat(100_000)))),
        (
            "a bomb as messages",
            format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000)).into_bytes(),
        ),
        ("2,000 fields", chat(&many)),
        ("a model twice", chat(r#","model":"openai/gpt-4o""#)),
        ("a model twice, one escaped", chat(r#","\u006dodel":"openai/gpt-4o""#)),
        ("a model in capitals", chat(r#","MODEL":"openai/gpt-4o""#)),
        ("messages twice", chat(&format!(",{MESSAGES}"))),
        ("a limit twice", chat(r#","max_tokens":1,"max_tokens":100000"#)),
        ("a limit in capitals", chat(r#","Max_Tokens":100000"#)),
        ("streams twice", chat(r#","stream":false,"stream":true"#)),
        ("a limit beyond i64", chat(r#","max_tokens":9223372036854775808"#)),
        ("a limit of a thousand digits", chat(&format!(r#","max_tokens":{}"#, "9".repeat(1_000)))),
        ("a limit with an exponent", chat(r#","max_tokens":1e400"#)),
        ("a number of a thousand digits and an exponent", chat(&format!(r#","n":1e{}"#, "9".repeat(1_000)))),
        ("a lone surrogate as model", format!(r#"{{"model":"\ud800",{MESSAGES}}}"#).into_bytes()),
        ("surrogates in the wrong order", format!(r#"{{"model":"\udc00\ud800",{MESSAGES}}}"#).into_bytes()),
        ("a lone surrogate as a name", chat(r#","\ud800":1"#)),
        ("a lone surrogate as role", br#"{"model":"m","messages":[{"role":"\ud800","content":"x"}]}"#.to_vec()),
        ("a model of a megabyte", format!(r#"{{"model":"{}",{MESSAGES}}}"#, "m".repeat(1 << 20)).into_bytes()),
        ("a model with NUL", format!(r#"{{"model":"a\u0000b",{MESSAGES}}}"#).into_bytes()),
        ("10,000 models", chat(&format!(r#","models":[{}"x"]"#, r#""x","#.repeat(10_000)))),
        (
            "invalid UTF-8 in a message",
            [&br#"{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":""#[..], b"\xff\xfe", br#""}]}"#].concat(),
        ),
        (
            "invalid UTF-8 in an unknown field",
            [&br#"{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"x"}],"x":""#[..], b"\xff", br#""}"#]
                .concat(),
        ),
        ("a byte order mark", [&b"\xef\xbb\xbf"[..], &chat("")].concat()),
        ("UTF-16", String::from_utf8(chat("")).expect("ASCII").encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("something behind it", [&chat("")[..], b"x"].concat()),
        ("two in one", [chat(""), chat("")].concat()),
        ("half of it", chat("")[..40].to_vec()),
        ("a control byte in a text", chat(",\"x\":\"\x01\"")),
        ("a portkey header with line ends", chat(r#","portkey_provider":"a\r\nX-Evil: 1""#)),
        ("a role that is missing", br#"{"model":"m","messages":[{"content":"x"}]}"#.to_vec()),
        ("a role twice", br#"{"model":"openai/gpt-4o-mini","messages":[{"role":"user","role":7,"content":"x"}]}"#.to_vec()),
    ]
}

fn request(method: &str, path: &str, key: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What is wrong with the answers to these, each by its name.
async fn wrong_answers(app: &TestApp, requests: Vec<(String, Vec<u8>)>) -> Vec<String> {
    let checks = requests.into_iter().enumerate().map(|(number, (name, bytes))| async move {
        let id = format!("behind-{number}");
        let answer = exchange(app, &[bytes, canary(&id)].concat()).await;
        let is_right = matches!(answer.statuses[..], [400..=499, 200]) && answer.serves(&id);
        (!is_right).then(|| format!("{name}: {answer:?}"))
    });
    stream::iter(checks).buffer_unordered(16).filter_map(std::future::ready).collect().await
}

#[actix_web::test]
async fn no_body_of_a_wrong_shape_is_served_or_charged() {
    let app = support::app().await;
    let user = app.register_user().await;
    let mut requests = Vec::new();
    for (method, path, who) in DOORS {
        let key = match who {
            Who::Nobody => "none",
            Who::User => &user.key,
            Who::Admin => ADMIN_KEY,
        };
        let named = |body: &[u8]| format!("{path} {:?}", String::from_utf8_lossy(body));
        requests.extend(GARBAGE.iter().map(|body| (named(body), request(method, path, key, body))));
    }
    for (field, is_right) in FIELDS {
        for value in values().iter().filter(|value| !is_right(value)) {
            let body = with(field, value).to_string();
            requests.push((format!("{field} = {value}"), request("POST", PATH, &user.key, body.as_bytes())));
        }
    }
    for (name, body) in traps() {
        requests.push((name.to_owned(), request("POST", PATH, &user.key, &body)));
    }
    for (path, list) in LISTS {
        let key = if path.starts_with("/admin") { ADMIN_KEY } else { &user.key };
        requests.push((format!("{path} {list}"), request("POST", path, key, list.replace("KEY", &user.key).as_bytes())));
    }
    let count = requests.len();
    let wrong = wrong_answers(&app, requests).await;
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    println!("promise P5: {count} malformed JSON cases, 0 answered 2xx or 5xx");
    assert_costs_nothing(&app, &user).await;
    assert_well(&app, &user).await;
}
