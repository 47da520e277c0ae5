//! Sessions: whose turn a chat session is. A call that belongs to one reads the messages before it and writes its own two at the
//! end, so the calls of a session go one after the other, in the order in which they came; those of other sessions don't
//! wait for them. Replicas agree by locks in the database.
//!
//! - **Owns** a line for each session that somebody calls in: it begins with the first caller and is forgotten when nobody stands
//!   in it. A stranger to a session stands in a line of their own, which leads nowhere.
//! - **Bounds**: [`WAITING_MAX`] calls wait in a line, [`TURNS_MAX`] sessions have a turn. What a turn writes is tried for
//!   [`SAVE_PATIENCE`].
//! - **A restart** loses nothing: those who stand in a line hold it. A crash of the process loses the two messages of a turn
//!   that were not written yet; the next call begins without them.

mod actor;
mod line;
mod table;
mod turn;

#[cfg(test)]
mod tests;

pub use table::{SessionTable, StoredSessions};
pub use tollgate_store::chat_sessions::{MessageRow, Role, Slice, TurnLock};
pub use turn::{Said, Saving, Turn};

use crate::ports::Clock;
use crate::runtime::{self, AskError, Handle, InFlight, Supervision};
use actix_rt::ArbiterHandle;
use actor::{FindLine, SessionsActor};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tollgate_domain::{SessionId, UserId};
use tollgate_store::StoreError;

/// Calls that wait for one session: nobody says so much at once.
pub const WAITING_MAX: usize = 64;
/// Sessions of this replica with a call under way. Each has an advisory lock, and PostgreSQL has some thousands in all.
pub const TURNS_MAX: usize = 1_000;
/// How long a turn tries to write what was said while the database is away.
pub const SAVE_PATIENCE: Duration = Duration::from_secs(30);
/// Messages under way to the actor, which answers each at once.
const CAPACITY: usize = 1_024;

/// Why there is no turn.
#[derive(Debug, thiserror::Error)]
pub enum SessionsError {
    #[error("too many calls wait for this chat session, or they take too long")]
    Busy,
    #[error("too many chat sessions have a call under way")]
    Overloaded,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AskError> for SessionsError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded => Self::Overloaded,
            AskError::Closed | AskError::Timeout => Self::Store(StoreError::Unavailable(error.to_string())),
        }
    }
}

/// What the sessions work with.
pub struct SessionsDeps {
    /// The store, outside tests.
    pub table: Arc<dyn SessionTable>,
    pub clock: Arc<dyn Clock>,
    /// Where turns are written: a caller who leaves cuts nothing off.
    pub io: tokio::runtime::Handle,
}

/// The way to a turn.
#[derive(Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
    actor: Handle<SessionsActor>,
}

/// What turns share.
struct Shared {
    deps: SessionsDeps,
    turns: Arc<Semaphore>,
    /// What the drain waits for.
    tasks: InFlight,
}

/// Starts the actor.
#[must_use]
pub fn start(arbiter: &ArbiterHandle, supervision: &Supervision, deps: SessionsDeps) -> Sessions {
    let shared = Arc::new(Shared { deps, turns: Arc::new(Semaphore::new(TURNS_MAX)), tasks: InFlight::default() });
    let tasks = shared.tasks.clone();
    let actor = runtime::start(arbiter, "sessions", CAPACITY, supervision, move |_| SessionsActor::new(tasks));
    Sessions { shared, actor }
}

impl Sessions {
    /// Waits for the session's turn, at most so long, and reads its newest messages. `None`: the user has no such session.
    /// Whoever stops waiting leaves the line.
    ///
    /// # Errors
    /// `Busy` when the line is full or too slow, `Overloaded`, or the database's.
    pub async fn begin(
        &self,
        user: UserId,
        session: SessionId,
        slice: Slice,
        patience: Duration,
    ) -> Result<Option<Turn>, SessionsError> {
        let deadline = Instant::now() + patience;
        let line = self.actor.ask(FindLine { user, session }).await?;
        let place = timeout_at(deadline, line.wait()).await.map_err(|_| SessionsError::Busy)??;
        turn::begin(&self.shared, place, (user, session), slice, deadline).await
    }

    /// Lets what is being written end.
    ///
    /// # Errors
    /// As [`Handle::drain`].
    pub async fn drain(&self, limit: Duration) -> Result<(), AskError> {
        self.actor.drain(limit).await
    }

    /// Fault injection for promise P8.
    #[cfg(any(test, feature = "fault-injection"))]
    pub async fn crash(&self) {
        // The one who asked is told that its message failed, which is what was wanted.
        let _ = self.actor.ask(runtime::Crash).await;
    }
}
