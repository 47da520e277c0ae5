//! Who stops before whom.
//!
//! Readiness goes, nothing new is accepted, running calls end (`DRAIN_TIMEOUT`), also those whose client has left; then the HTTP
//! workers, on whose threads the calls ran; then the actors, those who ask before those who answer; then their threads, the pool,
//! the I/O runtimes. Each has a limit: the end comes in any case.

use crate::startup::Parts;
use std::net::{Shutdown, TcpListener};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// For tasks that began while the workers ended.
const TASKS_LIMIT: Duration = Duration::from_secs(10);
/// For each actor to write down what it holds.
const ACTORS_LIMIT: Duration = Duration::from_secs(10);
/// For the arbiter threads and the I/O runtimes, which have nothing left to do.
const THREADS_LIMIT: Duration = Duration::from_secs(5);

/// How the end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nothing was cut off.
    Clean,
    /// Something did not end within its limit; the log says what.
    CutOff,
}

/// Stops everything in order. The server must be polled meanwhile.
pub(crate) async fn drain(parts: Parts) -> Drained {
    let Parts { server, listener, services, arbiters, io, ledger_io, .. } = parts;
    // From now on each connection ends with its answer: then there is an end to what begins.
    services.readiness.set(false);
    tracing::info!("draining");
    server.pause().await;
    refuse_connections(listener);
    // Before the workers: a worker ends with its last connection, and with it the calls whose clients have left (decision 8).
    // Mutant: stopping the server first turns `a_plain_call_whose_client_has_left_is_finished_and_charged_at_sigterm` red.
    let calls = services.tasks.drain(services.settings.timeouts.drain).await;
    // Closes idle connections, and each other one after its answer.
    server.stop(calls.abandoned == 0).await;
    let tasks = services.tasks.drain(TASKS_LIMIT).await;
    if tasks.abandoned > 0 {
        tracing::warn!(tasks = tasks.abandoned, "tasks were cut off");
    }
    let actors = services.actors.drain(ACTORS_LIMIT).await;
    let threads = arbiters.stop(THREADS_LIMIT).await;
    if !threads {
        tracing::warn!("an actors' thread did not end in time");
    }
    services.store.close();
    let ended = ledger_io.stop(THREADS_LIMIT).await & io.stop(THREADS_LIMIT).await;
    tracing::info!("stopped");
    if tasks.abandoned == 0 && actors && threads && ended { Drained::Clean } else { Drained::CutOff }
}

/// A paused server leaves who connects waiting; they are better refused, so that they go to another replica.
fn refuse_connections(listener: TcpListener) {
    if let Err(error) = socket2::SockRef::from(&listener).shutdown(Shutdown::Both) {
        tracing::debug!(%error, "the listener does not close before the server does");
    }
}

/// SIGTERM and SIGINT of this process.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on they end the process no more by themselves.
    ///
    /// # Errors
    /// Outside a tokio runtime, or when the kernel refuses.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
