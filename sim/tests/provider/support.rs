//! A provider, a usual client, and a client that shows bytes.

use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_sim::provider::{Provider, ProviderOptions, Stats};

/// Longer than anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn start() -> Provider {
    Provider::start(ProviderOptions::default()).await.unwrap()
}

pub fn client() -> reqwest::Client {
    // A second test in this process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub async fn post(provider: &Provider, body: &Value) -> reqwest::Response {
    let url = format!("{}/chat/completions", provider.base_url());
    client().post(url).bearer_auth("a-key").json(body).send().await.unwrap()
}

pub async fn get(provider: &Provider, path: &str) -> reqwest::Response {
    client().get(format!("http://{}{path}", provider.addr())).send().await.unwrap()
}

pub fn hello(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Hello!" }], "max_tokens": 5 })
}

pub fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    body
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// HTTP's framing says that the answer is whole.
    Whole,
    Closed,
    Reset,
    /// Nothing more came within the reader's patience.
    Silence,
}

#[derive(Debug)]
pub struct RawAnswer {
    pub head: String,
    /// Without the chunks' framing, as far as it held.
    pub body: Vec<u8>,
    /// What each read of the socket brought.
    pub reads: Vec<Vec<u8>>,
    pub end: End,
}

impl RawAnswer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub async fn connect(addr: SocketAddr, body: &Value) -> TcpStream {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST /api/v1/chat/completions HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer a-key\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    socket
}

/// Asks for a completion and reads until the answer is whole, the connection ends, or nothing comes for `patience`.
pub async fn raw(provider: &Provider, body: &Value, patience: Duration) -> RawAnswer {
    let mut socket = connect(provider.addr(), body).await;
    let mut reads: Vec<Vec<u8>> = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let end = match tokio::time::timeout(patience, socket.read(&mut buffer)).await {
            Err(_) => End::Silence,
            Ok(Ok(0)) => End::Closed,
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
            Ok(Err(error)) => panic!("{error}"),
            Ok(Ok(length)) => {
                reads.push(buffer[..length].to_vec());
                match answer(&reads, End::Whole) {
                    Some(answer) => return answer,
                    None => continue,
                }
            }
        };
        return answer(&reads, end).unwrap();
    }
}

/// The answer, when `end` is known or HTTP's framing says that it is whole.
fn answer(reads: &[Vec<u8>], end: End) -> Option<RawAnswer> {
    let all = reads.concat();
    let at = all.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
    let (head, rest) = all.split_at(at.unwrap_or(0));
    let head = String::from_utf8(head.to_vec()).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let (body, whole) = if head.contains("transfer-encoding: chunked") {
        unchunk(rest)
    } else {
        (rest.to_vec(), length == Some(rest.len()) && at.is_some())
    };
    (whole || end != End::Whole).then(|| RawAnswer { head, body, reads: reads.to_vec(), end })
}

/// The chunks' contents up to where the framing ends or breaks, and whether the last chunk was there.
fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = str::from_utf8(&rest[..line]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(size) = size.filter(|size| rest.len() >= line + 2 + size + 2) else { break };
        if size == 0 {
            return (body, true);
        }
        let (chunk, after) = rest[line + 2..].split_at(size);
        if !after.starts_with(b"\r\n") {
            break;
        }
        body.extend_from_slice(chunk);
        rest = &after[2..];
    }
    (body, false)
}

/// The JSON of each `data:` line but `[DONE]`; panics at one that is none.
pub fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start);
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// All content deltas of the first choice.
pub fn content(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
}

/// Waits until the counts are as wanted; at most two seconds, then shows them.
pub async fn until(provider: &Provider, wanted: impl Fn(&Stats) -> bool) -> Stats {
    for _ in 0..400 {
        let stats = provider.stats();
        if wanted(&stats) {
            return stats;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the counts stay at {:?}", provider.stats());
}
