//! A turn: from the head of the line to the messages that it leaves.

use super::line::Place;
use super::{MessageRow, Role, SAVE_PATIENCE, SessionsError, Shared, Slice, TurnLock};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tollgate_domain::{SessionId, UserId};
use tollgate_store::StoreError;
use tollgate_store::chat_sessions::{NewMessage, Writing};
use uuid::Uuid;

/// Another replica's turn is looked for this often.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Between two tries to write.
const SAVE_PAUSE: Duration = Duration::from_millis(250);

/// The right to go on with a session. Dropped, it leaves nothing behind.
pub struct Turn {
    /// The messages before it, oldest first.
    pub history: Vec<MessageRow>,
    held: Held,
}

/// What was said in a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub role: Role,
    pub content: String,
    pub tokens: i64,
}

/// Messages on their way into the table.
pub struct Saving(oneshot::Receiver<()>);

/// The head of the line, and the lock in the database once it is taken.
struct Held {
    shared: Arc<Shared>,
    user: UserId,
    session: SessionId,
    is_locked: bool,
    /// Both are given back after the lock is.
    places: Option<(Place, OwnedSemaphorePermit)>,
}

/// Takes the lock and reads the history, in a task of its own: an asker who leaves half way must leave no lock.
pub(super) async fn begin(
    shared: &Arc<Shared>,
    place: Place,
    (user, session): (UserId, SessionId),
    slice: Slice,
    deadline: Instant,
) -> Result<Option<Turn>, SessionsError> {
    let permit = Arc::clone(&shared.turns).try_acquire_owned().map_err(|_| SessionsError::Overloaded)?;
    let mut held = Held { shared: Arc::clone(shared), user, session, is_locked: false, places: Some((place, permit)) };
    let (answer, answered) = oneshot::channel();
    shared.deps.io.spawn(async move {
        let begun = match held.lock(deadline, &answer).await {
            Ok(true) => held.read(slice).await.map(|history| Some(Turn { history, held })),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        // Nobody waits any more: the turn ends here.
        drop(answer.send(begun));
    });
    answered.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the turn was lost".to_owned()).into()))
}

impl Turn {
    /// Writes what was said under the turn's id, then lets the next one go on. Happens whether or not it is waited for.
    #[must_use]
    pub fn save(self, id: Uuid, model: String, said: Vec<Said>) -> Saving {
        let Self { held, .. } = self;
        let (done, saved) = oneshot::channel();
        let (io, token) = (held.shared.deps.io.clone(), held.shared.tasks.token());
        io.spawn(async move {
            held.write(id, &model, &said).await;
            drop((done, held, token));
        });
        Saving(saved)
    }
}

impl Saving {
    /// Waits until the messages are in the table, or given up; no longer than `limit`.
    pub async fn wait(self, limit: Duration) {
        if timeout(limit, self.0).await.is_err() {
            tracing::warn!("a chat session's messages are written behind the answer");
        }
    }
}

impl Held {
    /// `false`: the user has no such session.
    async fn lock<T>(&mut self, deadline: Instant, asker: &oneshot::Sender<T>) -> Result<bool, SessionsError> {
        loop {
            match self.shared.deps.table.lock(self.user, self.session).await? {
                TurnLock::Unknown => return Ok(false),
                TurnLock::Taken => break,
                TurnLock::Busy if Instant::now() >= deadline || asker.is_closed() => return Err(SessionsError::Busy),
                TurnLock::Busy => sleep(LOOK_EVERY).await,
            }
        }
        self.is_locked = true;
        Ok(true)
    }

    async fn read(&self, slice: Slice) -> Result<Vec<MessageRow>, SessionsError> {
        Ok(self.shared.deps.table.newest(self.session, slice).await?)
    }

    /// Tries while the database is away. The turn's id makes a second try harmless.
    async fn write(&self, id: Uuid, model: &str, said: &[Said]) {
        let deps = &self.shared.deps;
        let messages: Vec<NewMessage<'_>> = said
            .iter()
            .map(|said| NewMessage { role: said.role, content: &said.content, model: Some(model), tokens: said.tokens })
            .collect();
        let writing = Writing { user: self.user, session: self.session, now: deps.clock.now(), at: None, turn: Some(id) };
        let give_up_at = Instant::now() + SAVE_PATIENCE;
        loop {
            match deps.table.append(writing, &messages).await {
                Ok(()) => return,
                Err(StoreError::Unavailable(_)) if Instant::now() < give_up_at => sleep(SAVE_PAUSE).await,
                Err(error) => {
                    metrics::counter!("tollgate_session_turns_lost_total").increment(1);
                    return tracing::error!(session = %self.session, %error, "what was said in a chat session is lost");
                }
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (shared, session, places) = (Arc::clone(&self.shared), self.session, self.places.take());
        if self.is_locked {
            let token = shared.tasks.token();
            self.shared.deps.io.spawn(async move {
                shared.deps.table.unlock(session).await;
                drop((places, token));
            });
        }
    }
}
