//! What waits for a client that takes nothing in: little, as copying it costs time that is everybody's (P4).

use crate::support;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// More than the kernel would take of answers.
const ASKED: usize = 100;
/// What the server lets the kernel keep, a piece that was begun, and what the client's side has not confirmed yet.
const KEPT_MAX_BYTES: usize = 512 * 1_024;

/// What the kernel keeps of what `from` has sent to `to`, in bytes (`tx_queue` of proc_pid_net(5)).
fn kept_bytes(from: SocketAddr, to: SocketAddr) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let ends = [from, to].map(|end| format!(":{:04X}", end.port()));
    let is_ours = |fields: &[&str]| fields[1].ends_with(&ends[0]) && fields[2].ends_with(&ends[1]);
    let mut lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = lines.find(|fields| is_ours(fields)).expect("the connection");
    usize::from_str_radix(ours[4].split(':').next().unwrap(), 16).expect("a length")
}

/// The same, when it has stopped growing.
async fn kept_in_the_end(from: SocketAddr, to: SocketAddr) -> usize {
    let (mut kept, mut same) = (0, 0);
    while kept == 0 || same < 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = kept_bytes(from, to);
        same = if now == kept { same + 1 } else { 0 };
        kept = now;
    }
    kept
}

#[actix_web::test]
async fn of_answers_that_nobody_reads_the_kernel_keeps_little() {
    let app = support::app().await;
    let mut client = TcpStream::connect(app.address).await.unwrap();
    let asked = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(ASKED);
    client.write_all(asked.as_bytes()).await.unwrap();
    let kept = kept_in_the_end(app.address, client.local_addr().unwrap()).await;
    // Mutant: without `UNSENT_MAX_BYTES` it is over two megabytes.
    assert!(kept <= KEPT_MAX_BYTES, "{kept} bytes are kept");
}
