//! Calls at a rate that does not wait for answers, as a crowd of clients sends them.

use super::{PATH, question};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Calls under way at once. The test's process holds the clients' ends and the provider's: more open files than that a machine may
/// not allow.
const UNDER_WAY_MAX: usize = 5_000;
/// What a client waits for an answer. One that takes longer counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(5);

/// What became of the calls.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answered 200, each after so long.
    pub served: Vec<Duration>,
    /// Answered 429 or 503 with `Retry-After`.
    pub refused: Vec<Duration>,
    /// Of those, the ones that blame the provider, which is well.
    pub blamed: usize,
    /// Anything else: another status, no answer in time, a cut connection.
    pub lost: Vec<String>,
    /// Not sent, as too many were under way.
    pub unsent: usize,
}

impl Tally {
    fn add(&mut self, answer: Result<Answer, String>, took: Duration) {
        match answer {
            Ok(Answer { head, .. }) if head.starts_with("HTTP/1.1 200") => self.served.push(took),
            Ok(Answer { head, body }) if is_refusal(&head) => {
                self.refused.push(took);
                self.blamed += usize::from(body.contains("upstream_unavailable"));
            }
            Ok(Answer { head, .. }) => self.lost.push(head),
            Err(error) => self.lost.push(format!("{error} after {took:?}")),
        }
    }

    pub fn p99(latencies: &mut [Duration]) -> Duration {
        latencies.sort_unstable();
        latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default()
    }
}

fn is_refusal(head: &str) -> bool {
    let is_busy = head.starts_with("HTTP/1.1 429") || head.starts_with("HTTP/1.1 503");
    is_busy && head.to_ascii_lowercase().contains("\r\nretry-after: ")
}

struct Answer {
    head: String,
    body: String,
}

struct Crowd {
    address: SocketAddr,
    request: Vec<u8>,
    idle: RefCell<Vec<TcpStream>>,
    under_way: Cell<usize>,
    tally: RefCell<Tally>,
}

impl Crowd {
    fn new(address: SocketAddr, key: &str) -> Rc<Self> {
        let body = question().to_string();
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (idle, under_way, tally) = (RefCell::default(), Cell::new(0), RefCell::default());
        Rc::new(Self { address, request: request.into_bytes(), idle, under_way, tally })
    }

    async fn call(&self) {
        let asked = Instant::now();
        self.under_way.set(self.under_way.get() + 1);
        let answer = tokio::time::timeout(PATIENCE, self.exchange()).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer".to_owned()));
        self.under_way.set(self.under_way.get() - 1);
        self.tally.borrow_mut().add(answer, asked.elapsed());
    }

    async fn exchange(&self) -> Result<Answer, String> {
        let kept = self.idle.borrow_mut().pop();
        let mut socket = match kept {
            Some(socket) => socket,
            None => TcpStream::connect(self.address).await.map_err(|error| error.to_string())?,
        };
        socket.write_all(&self.request).await.map_err(|error| error.to_string())?;
        let mut answer = Vec::with_capacity(2_048);
        loop {
            if socket.read_buf(&mut answer).await.map_err(|error| error.to_string())? == 0 {
                return Err("the connection was cut".to_owned());
            }
            let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&answer[..end + 2]).into_owned();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse::<usize>().ok());
            if answer.len() >= end + 4 + length.unwrap_or_default() {
                if !head.contains("connection: close") {
                    self.idle.borrow_mut().push(socket);
                }
                let body = String::from_utf8_lossy(&answer[end + 4..]).into_owned();
                return Ok(Answer { head, body });
            }
        }
    }
}

/// On a thread of its own, so that clients and test do not wait for each other.
fn on_a_thread<F: Future<Output = ()>>(crowd: impl FnOnce(LocalSet) -> F + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(crowd(LocalSet::new()));
    })
}

async fn run(address: SocketAddr, key: String, work: impl AsyncFnOnce(Rc<Crowd>, &LocalSet) + Send + 'static) -> Tally {
    let (tell, told) = std::sync::mpsc::channel();
    let thread = on_a_thread(move |local| async move {
        let crowd = Crowd::new(address, &key);
        work(Rc::clone(&crowd), &local).await;
        local.await;
        let _ = tell.send(crowd.tally.take());
    });
    tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    told.recv().expect("a tally")
}

/// Each caller asks again as soon as it is answered.
pub async fn back_to_back(address: SocketAddr, key: &str, callers: usize, time: Duration) -> Tally {
    run(address, key.to_owned(), async move |crowd, local| {
        let started = Instant::now();
        for _ in 0..callers {
            let crowd = Rc::clone(&crowd);
            local.spawn_local(async move {
                while started.elapsed() < time {
                    crowd.call().await;
                }
            });
        }
    })
    .await
}

/// So many calls a second, whether or not the earlier ones are answered.
pub async fn at_a_rate(address: SocketAddr, key: &str, per_second: usize, time: Duration) -> Tally {
    run(address, key.to_owned(), async move |crowd, local| {
        let sending = async {
            let (started, mut sent) = (Instant::now(), 0);
            while started.elapsed() < time {
                let due = usize::try_from(started.elapsed().as_millis()).unwrap() * per_second / 1_000;
                for _ in sent..due {
                    if crowd.under_way.get() >= UNDER_WAY_MAX {
                        crowd.tally.borrow_mut().unsent += 1;
                    } else {
                        let crowd = Rc::clone(&crowd);
                        tokio::task::spawn_local(async move { crowd.call().await });
                    }
                }
                sent = due;
                tokio::time::sleep(TICK).await;
            }
        };
        local.run_until(sending).await;
    })
    .await
}
