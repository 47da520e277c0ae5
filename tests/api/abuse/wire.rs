//! Bytes as they are, to a server and back.

use crate::support::TestApp;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than any deadline that these tests set.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back until the server closed.
#[derive(Debug)]
pub struct Answer {
    pub statuses: Vec<u16>,
    pub text: String,
}

impl Answer {
    /// The request with this `x-request-id` was taken for one and served.
    pub fn serves(&self, id: &str) -> bool {
        self.text.contains(&format!("x-request-id: {id}\r\n"))
    }
}

/// A second request that stands behind the one under test. Its id tells whether it was served; the connection ends after it.
pub fn canary(id: &str) -> Vec<u8> {
    format!("GET /health HTTP/1.1\r\nHost: x\r\nx-request-id: {id}\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Sends the bytes and reads until the server closes.
///
/// Panics when it never does.
pub async fn exchange(app: &TestApp, bytes: &[u8]) -> Answer {
    let socket = TcpStream::connect(app.address).await.expect("a connection");
    let (mut reader, mut writer) = socket.into_split();
    let mut answer = Vec::new();
    let sending = async {
        // A server that has refused may close before all is sent.
        let _ = writer.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    let reading = async {
        let mut piece = vec![0; 65_536];
        while let Ok(count @ 1..) = reader.read(&mut piece).await {
            answer.extend_from_slice(&piece[..count]);
        }
    };
    tokio::select! {
        () = sending => {}
        () = reading => {}
        () = tokio::time::sleep(PATIENCE) => panic!("the server does not close: {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)])),
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    Answer { statuses: statuses(&text), text }
}

/// The status of each answer. No body of ours has such a line.
fn statuses(text: &str) -> Vec<u16> {
    let first_lines = text.split("HTTP/1.").skip(1);
    first_lines.map(|rest| rest.get(2..5).and_then(|status| status.parse().ok()).expect("a status")).collect()
}
