//! Promise P4: clients that drip their heads or bodies, or never read, are cut by their deadlines, and nobody else waits
//! for them.

use super::{PATH, assert_well, question};
use crate::support::{self, TestApp, TestUser, is_long};
use futures_util::future::join_all;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Deadlines of a second.
const SETTINGS: [(&str, &str); 4] =
    [("HEAD_TIMEOUT", "1"), ("BODY_TIMEOUT", "1"), ("KEEP_ALIVE_TIMEOUT", "1"), ("WRITE_TIMEOUT", "1")];
/// After an answer actix reads five seconds more of a body that nobody wants; the rest is slack for a busy machine.
const CUT_WITHIN: Duration = Duration::from_secs(1 + 5 + 4);
const DRIP_EVERY: Duration = Duration::from_millis(250);
const CALLERS: usize = 8;
/// Of the besiegers' thread.
const NICE: i32 = 5;

/// What a slow client sends at once, and what it drips then. `KEY` is a good key.
struct Slow {
    name: &'static str,
    at_once: &'static str,
    drip: &'static str,
}

const SLOW_HEADS: [Slow; 4] = [
    Slow { name: "a head that drips", at_once: "GET /health HTTP/1.1\r\nHost: x\r\n", drip: "X: y\r\n" },
    Slow { name: "a head that stalls", at_once: "GET /hea", drip: "" },
    // Mutant: without the alarm in `http/connection.rs` these two are never cut.
    Slow { name: "a second head that drips", at_once: "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", drip: "G" },
    Slow { name: "a second head that stalls", at_once: "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea", drip: "" },
];

const SLOW_BODIES: [Slow; 5] = [
    Slow {
        name: "a body that drips",
        at_once: "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\nContent-Length: 9999\r\n\r\n{",
        drip: " ",
    },
    Slow {
        name: "chunks that drip",
        at_once: "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\nTransfer-Encoding: chunked\r\n\r\n",
        drip: "1\r\n \r\n",
    },
    Slow {
        name: "a body that stalls",
        at_once: "POST /auth/register HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n{",
        drip: "",
    },
    Slow {
        name: "chunks that nobody reads",
        at_once: "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        drip: "1\r\n \r\n",
    },
    Slow {
        name: "a chunk that nobody reads and that stalls",
        at_once: "POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n",
        drip: "",
    },
];

/// Asks for more than the kernel's buffers hold, and reads nothing.
const NEVER_READS: Slow = Slow { name: "a client that never reads", at_once: "", drip: "\r\n" };
const ASKED_UNREAD: usize = 400;

/// Slow clients that come again whenever they are cut, on a thread of their own.
struct Siege {
    address: SocketAddr,
    key: String,
    over: AtomicBool,
    cuts: AtomicUsize,
}

impl Siege {
    /// Runs until it is over; what was not cut in time.
    fn lay(self: &Arc<Self>, heads: usize, bodies: usize, unread: usize) -> std::thread::JoinHandle<Vec<String>> {
        let siege = Arc::clone(self);
        std::thread::spawn(move || {
            // They are elsewhere: the processor that they need is not the server's to give.
            rustix::process::setpriority_process(None, NICE).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let heads = SLOW_HEADS.iter().cycle().take(heads);
            let bodies = SLOW_BODIES.iter().cycle().take(bodies);
            let all = heads.chain(bodies).chain(std::iter::repeat_n(&NEVER_READS, unread));
            let late = runtime.block_on(join_all(all.map(|slow| siege.press(slow))));
            late.into_iter().flatten().collect()
        })
    }

    async fn press(&self, slow: &Slow) -> Option<String> {
        while !self.over.load(Ordering::Relaxed) {
            // The queue of those who wait to be accepted may be full for a moment.
            let Ok(socket) = TcpStream::connect(self.address).await else {
                tokio::time::sleep(DRIP_EVERY).await;
                continue;
            };
            let started = Instant::now();
            if tokio::time::timeout(CUT_WITHIN, self.until_cut(socket, slow)).await.is_err() {
                return Some(format!("{} is not cut after {:?}", slow.name, started.elapsed()));
            }
            self.cuts.fetch_add(1, Ordering::Relaxed);
        }
        None
    }

    async fn until_cut(&self, socket: TcpStream, slow: &Slow) {
        let reads = !slow.at_once.is_empty();
        let at_once = match reads {
            true => slow.at_once.replace("KEY", &self.key),
            false => "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(ASKED_UNREAD),
        };
        let (mut reader, mut writer) = socket.into_split();
        let dripping = async {
            let mut sent = writer.write_all(at_once.as_bytes()).await;
            while sent.is_ok() {
                tokio::time::sleep(DRIP_EVERY).await;
                sent = writer.write_all(slow.drip.as_bytes()).await;
            }
        };
        let reading = async {
            let mut piece = [0; 4_096];
            while reads && matches!(reader.read(&mut piece).await, Ok(1..)) {}
            if !reads {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = dripping => {}
            () = reading => {}
        }
    }
}

/// Paid calls, back to back; how long each took, sorted.
async fn traffic(app: &TestApp, user: &TestUser, time: Duration) -> Vec<Duration> {
    let started = Instant::now();
    let caller = async |_| {
        let mut took = Vec::new();
        while started.elapsed() < time {
            let asked = Instant::now();
            let reply = app.post_as(&user.key, PATH, question()).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            took.push(asked.elapsed());
        }
        took
    };
    let mut took: Vec<Duration> = join_all((0..CALLERS).map(caller)).await.into_iter().flatten().collect();
    took.sort_unstable();
    took
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() * 99 / 100]
}

#[actix_web::test]
async fn slow_clients_are_cut_and_nobody_waits_for_them() {
    let mut app = support::app_with(&SETTINGS).await;
    // A connection that both sides may end at the same moment is not used again: it would fail for no one's fault.
    let idle = Duration::from_millis(300);
    app.client = reqwest::Client::builder().no_proxy().pool_idle_timeout(idle).build().unwrap();
    let user = app.register_user().await;
    let (heads, bodies, unread) = if is_long() { (1_000, 1_000, 200) } else { (100, 100, 20) };
    let time = Duration::from_secs(if is_long() { 15 } else { 3 });
    traffic(&app, &user, time / 3).await;
    let quiet = traffic(&app, &user, time).await;
    let siege =
        Arc::new(Siege { address: app.address, key: user.key.clone(), over: AtomicBool::new(false), cuts: AtomicUsize::new(0) });
    let besiegers = siege.lay(heads, bodies, unread);
    let besieged = traffic(&app, &user, time.max(CUT_WITHIN)).await;
    siege.over.store(true, Ordering::Relaxed);
    let late = tokio::task::spawn_blocking(|| besiegers.join().unwrap()).await.unwrap();
    assert!(late.is_empty(), "{late:?}");
    let cuts = siege.cuts.load(Ordering::Relaxed);
    assert!(cuts >= heads + bodies + unread, "{cuts} cuts");
    let (before, under) = (p99(&quiet), p99(&besieged));
    println!(
        "promise P4: {heads} slow heads, {bodies} slow bodies, {unread} that never read: {cuts} cut in time; {} calls, 0 errors, p99 {under:.1?} beside {before:.1?} when quiet",
        besieged.len()
    );
    // In the push size on a build that is not optimised it is a matter of single milliseconds.
    let slack = if is_long() { Duration::ZERO } else { Duration::from_millis(25) };
    assert!(under <= 2 * before + slack, "p99 {under:?} beside {before:?}");
    assert_well(&app, &user).await;
}
