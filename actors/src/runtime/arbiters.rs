//! The two threads on which actors live.
//!
//! A message between actors of one arbiter costs under a microsecond, to another, idle one a wake-up of some 45 µs. So those that
//! a chat completion passes share a thread, and those that may dawdle have another.

use std::io;
use std::thread;
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle, System};
use tokio::sync::oneshot;

/// Two arbiter threads. Dropped without [`Arbiters::stop`], they run until the process ends.
pub struct Arbiters {
    /// Ledger, limiter, sessions, catalog, identity.
    pub hot: ArbiterHandle,
    /// Containers, telegram, activity.
    pub slow: ArbiterHandle,
    threads: [Arbiter; 2],
}

impl Arbiters {
    /// Starts both threads. Fails outside a running `System`, or when the machine has no thread to give.
    pub fn start() -> io::Result<Self> {
        if System::try_current().is_none() {
            return Err(io::Error::other("arbiters need a running actix System"));
        }
        let [hot, slow] = [Arbiter::try_new()?, Arbiter::try_new()?];
        Ok(Self { hot: hot.handle(), slow: slow.handle(), threads: [hot, slow] })
    }

    /// Stops both threads and waits until they have ended; `false` when `limit` was too short. What their actors still had queued
    /// is dropped: drain first.
    pub async fn stop(self, limit: Duration) -> bool {
        for arbiter in &self.threads {
            arbiter.stop();
        }
        let (ended, all_ended) = oneshot::channel();
        // Not a task of the blocking pool: the runtime would wait for it at its end, however long a stuck actor takes.
        let joiner = thread::Builder::new().name("arbiter-joiner".into()).spawn(move || {
            let clean = self.threads.map(Arbiter::join).iter().all(Result::is_ok);
            ended.send(clean)
        });
        joiner.is_ok() && tokio::time::timeout(limit, all_ended).await.is_ok_and(|ended| ended == Ok(true))
    }
}
