//! Those who wait for one session, first come, first served.

use super::{SessionsError, WAITING_MAX};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One session's line.
#[derive(Debug)]
pub(super) struct Line {
    /// One permit: the turn. tokio's semaphore is fair.
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// The head of a line. Dropped, the next one moves up.
#[derive(Debug)]
pub(super) struct Place {
    _turn: OwnedSemaphorePermit,
    /// As long as somebody is in it, it is the session's one line.
    _line: Arc<Line>,
}

impl Default for Line {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), waiting: AtomicUsize::new(0) }
    }
}

impl Line {
    /// Waits for the head of the line. Dropping the future leaves the line.
    pub async fn wait(self: Arc<Self>) -> Result<Place, SessionsError> {
        let waiting = Waiting::of(&self.waiting);
        if waiting.before >= WAITING_MAX {
            return Err(SessionsError::Busy);
        }
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        drop(waiting);
        // It is never closed.
        turn.map(|turn| Place { _turn: turn, _line: self }).map_err(|_| SessionsError::Busy)
    }
}

struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        Self { count, before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
