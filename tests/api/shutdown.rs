//! SIGTERM under load (P7), and the start: nobody is left without an answer.

use crate::support::binary::Served;
use crate::support::{TestDatabase, TestFolder, environment, eventually, free_address, is_long};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_sim::provider::{Behaviour, Provider, ProviderOptions};

const CLIENTS: usize = 32;
/// Clients that stream completions, each of about 300 ms, so that SIGTERM meets them in the middle.
const STREAMS: usize = 16;
const LOAD: Duration = Duration::from_millis(400);

/// One answer on a kept connection: its head and a body of the announced length. `None` when the connection ended before
/// the first byte.
///
/// Panics when it ends in the middle.
async fn read_answer(socket: &mut TcpStream) -> Option<String> {
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
            if body.len() == length.parse::<usize>().unwrap() {
                return Some(text);
            }
        }
        let mut piece = [0; 4_096];
        match socket.read(&mut piece).await {
            Ok(0) | Err(_) if answer.is_empty() => return None,
            Ok(0) | Err(_) => panic!("an answer was cut off: {text}"),
            Ok(length) => answer.extend_from_slice(&piece[..length]),
        }
    }
}

/// Asks on kept connections until the server is gone; the ids of the requests that were answered in full.
async fn ask_until_gone(address: SocketAddr, client: usize) -> Vec<String> {
    let mut answered = Vec::new();
    let mut number = 0;
    while let Ok(mut socket) = TcpStream::connect(address).await {
        loop {
            let id = format!("load-{client}-{number}");
            number += 1;
            let request = format!("GET /ready HTTP/1.1\r\nHost: x\r\nx-request-id: {id}\r\n\r\n");
            if socket.write_all(request.as_bytes()).await.is_err() {
                break;
            }
            let Some(answer) = read_answer(&mut socket).await else { break };
            answered.push(id);
            if answer.to_ascii_lowercase().contains("\r\nconnection: close") {
                break;
            }
        }
    }
    answered
}

/// Streams completions until the server is gone; the ids of those that came to their end.
async fn stream_until_gone(address: SocketAddr, client: usize, key: String) -> Vec<String> {
    let body = r#"{"model":"openai/gpt-4o-mini","stream":true,"max_tokens":15,"messages":[{"role":"user","content":"Hi"}]}"#;
    let mut answered = Vec::new();
    for number in 0.. {
        let id = format!("load-s{client}-{number}");
        let Ok(mut socket) = TcpStream::connect(address).await else { break };
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
             x-request-id: {id}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if socket.write_all(head.as_bytes()).await.is_err() {
            break;
        }
        let mut answer = Vec::new();
        let ended = socket.read_to_end(&mut answer).await;
        if answer.is_empty() {
            break;
        }
        let text = String::from_utf8_lossy(&answer);
        assert!(ended.is_ok() && text.starts_with("HTTP/1.1 200"), "{ended:?}: {text}");
        assert!(text.contains("data: [DONE]") && text.ends_with("0\r\n\r\n"), "a stream was cut off: {text}");
        answered.push(id);
    }
    answered
}

/// Registers a user; the API key.
async fn register(address: SocketAddr) -> String {
    tollgate::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let user = serde_json::json!({"username": "ada", "email": "ada@example.com"});
    let reply = client.post(format!("http://{address}/auth/register")).json(&user).send().await.unwrap();
    let body: serde_json::Value = reply.json().await.unwrap();
    body["api_key"].as_str().expect("an API key").to_owned()
}

/// A request whose body comes after SIGTERM: its head was read, as `100 Continue` shows.
async fn ask_slowly(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = "POST /auth/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 64];
    let length = socket.read(&mut go_on).await.unwrap();
    assert!(go_on[..length].starts_with(b"HTTP/1.1 100"), "{:?}", String::from_utf8_lossy(&go_on[..length]));
    socket
}

#[actix_web::test]
async fn sigterm_under_load_leaves_no_request_without_its_answer() {
    let rounds = if is_long() { 20 } else { 2 };
    for _ in 0..rounds {
        let (database, folder) = (TestDatabase::create().await, TestFolder::create());
        let sim = Provider::start(ProviderOptions::default()).await.unwrap();
        sim.set_default(Behaviour { token_delay: Duration::from_millis(20), ..Behaviour::default() });
        let log = [
            ("RUST_LOG", "info,tollgate::http::frame=debug"),
            ("HTTP_WORKERS", "2"),
            ("RATE_LIMIT_REQUESTS_PER_MINUTE", "1000000"),
            ("RATE_LIMIT_BURST", "1000000"),
            ("RATE_LIMIT_CONCURRENCY", "1000000"),
        ];
        let served = Served::start(&database, &folder, &sim.base_url(), &log);
        let address = served.address;
        let mut slow = ask_slowly(address).await;
        let _idle = TcpStream::connect(address).await.unwrap();
        let load: Vec<_> = (0..CLIENTS).map(|client| tokio::spawn(ask_until_gone(address, client))).collect();
        let key = register(address).await;
        let streams: Vec<_> = (0..STREAMS).map(|client| tokio::spawn(stream_until_gone(address, client, key.clone()))).collect();
        tokio::time::sleep(LOAD).await;
        served.signal("TERM");
        tokio::time::sleep(Duration::from_millis(200)).await;
        slow.write_all(b"{}").await.unwrap();
        let slow_answer = read_answer(&mut slow).await.expect("the slow request's answer");
        assert!(slow_answer.starts_with("HTTP/1.1 422"), "{slow_answer}");

        let mut answered = HashSet::new();
        for client in load.into_iter().chain(streams) {
            answered.extend(client.await.unwrap());
        }
        let (status, log) = served.wait(Duration::from_secs(20));
        assert!(status.success(), "{status}: {log}");
        let received: Vec<_> = log.lines().filter(|line| line.contains("received")).filter_map(load_id).collect();
        assert!(received.len() > CLIENTS, "there was load: {}", received.len());
        assert!(received.iter().filter(|id| id.starts_with("load-s")).count() >= STREAMS, "there were streams");
        // Mutant: `stop(false)` in the drain turns this red, or the answer of the slow request.
        let lost: Vec<_> = received.iter().filter(|id| !answered.contains(*id)).collect();
        assert!(lost.is_empty(), "{} of {} heads were read and not answered: {lost:?}", lost.len(), received.len());
        println!("promise P7: {} heads read before and while SIGTERM came, all answered", received.len());
    }
}

fn load_id(line: &str) -> Option<String> {
    let from = line.find("load-")?;
    let id = line[from..].chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-');
    Some(id.collect())
}

#[actix_web::test]
async fn a_plain_call_whose_client_has_left_is_finished_and_charged_at_sigterm() {
    let (database, folder) = (TestDatabase::create().await, TestFolder::create());
    let sim = Provider::start(ProviderOptions::default()).await.unwrap();
    sim.set_default(Behaviour::parse("delay:4000").unwrap());
    let served = Served::start(&database, &folder, &sim.base_url(), &[]);
    let key = register(served.address).await;
    let mut socket = TcpStream::connect(served.address).await.unwrap();
    let body = r#"{"model":"openai/gpt-4o-mini","max_tokens":15,"messages":[{"role":"user","content":"Hi"}]}"#;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    eventually("the call is upstream", async || (sim.stats().open == 1).then_some(())).await;
    // Gone by a reset: a client that has closed one direction only may still be read.
    socket.set_zero_linger().unwrap();
    drop(socket);
    tokio::time::sleep(Duration::from_millis(200)).await;
    served.signal("TERM");
    // Another replica's turn: who comes now is refused, and not left waiting.
    let address = served.address;
    eventually("connections are refused", async || TcpStream::connect(address).await.is_err().then_some(())).await;
    assert_eq!(sim.stats().open, 1, "the call is still under way");
    // The stand-in runs on this thread.
    let (status, log) = tokio::task::spawn_blocking(|| served.wait(Duration::from_secs(20))).await.unwrap();
    assert!(status.success(), "{log}");
    assert_eq!(sim.stats().finished, 1);
    assert_eq!(database.number("SELECT count(*) FROM usage_records").await, 1);
    assert_eq!(database.number("SELECT count(*) FROM holds WHERE state = 0").await, 0);
}

#[actix_web::test]
async fn an_idle_server_stops_soon() {
    let (database, folder) = (TestDatabase::create().await, TestFolder::create());
    let served = Served::start(&database, &folder, "http://127.0.0.1:9/v1", &[]);
    let mut kept = TcpStream::connect(served.address).await.unwrap();
    kept.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_answer(&mut kept).await.unwrap();
    served.signal("INT");
    let (status, log) = served.wait(Duration::from_secs(8));
    assert!(status.success(), "{log}");
}

#[actix_web::test]
async fn a_server_that_migrates_answers_503_and_says_when_to_come_back() {
    let (database, folder) = (TestDatabase::create().await, TestFolder::create());
    // Holds the lock that the start's migration takes.
    let blocker = database.connect().await;
    blocker.batch_execute("SELECT pg_advisory_lock(7402385192837461)").await.unwrap();
    let address = free_address();
    let mut env = environment(&database, &folder, "http://127.0.0.1:9/v1");
    env.insert("BIND_ADDR".to_owned(), address.to_string());
    let starting = Served::spawn(&["serve"], &env);

    let url = format!("http://{address}");
    tollgate::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| client.get(format!("{url}{path}")).send().await.ok();
    let reply = eventually("an answer", async || get("/v1/models").await).await;
    assert_eq!((reply.status().as_u16(), reply.headers()["retry-after"].to_str().unwrap()), (503, "2"));
    assert!(reply.headers().contains_key("x-request-id"));
    let health = get("/health").await.unwrap();
    assert_eq!(health.status().as_u16(), 200);
    assert!(health.text().await.unwrap().contains("\"unhealthy\""));

    blocker.batch_execute("SELECT pg_advisory_unlock(7402385192837461)").await.unwrap();
    eventually("ready", async || get("/ready").await.filter(|reply| reply.status().is_success())).await;
    starting.signal("TERM");
    let (status, log) = starting.wait(Duration::from_secs(10));
    assert!(status.success(), "{log}");
}
