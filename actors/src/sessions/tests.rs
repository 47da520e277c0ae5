//! Turns over tables in memory, which two replicas may share.

use super::*;
use crate::ports::SystemClock;
use crate::runtime::{Arbiters, RestartPolicy};
use chrono::DateTime;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tollgate_store::chat_sessions::{NewMessage, Writing};
use uuid::Uuid;

const OWNER: UserId = UserId(1);
const SESSION: SessionId = SessionId(7);
const ALL: Slice = Slice { before: None, messages_max: 1_000, bytes_max: 1 << 20 };
const PATIENCE: Duration = Duration::from_secs(5);

/// The tables, of one session: they can be away and lose an answer, and they know who has the lock.
#[derive(Default)]
struct Tables {
    said: Mutex<Vec<String>>,
    turns: Mutex<HashSet<Uuid>>,
    is_locked: AtomicBool,
    is_away: AtomicBool,
    loses_answers: AtomicUsize,
}

fn away() -> StoreError {
    StoreError::Unavailable("away".to_owned())
}

impl SessionTable for Tables {
    fn lock(&self, user: UserId, session: SessionId) -> BoxFuture<'_, Result<TurnLock, StoreError>> {
        let found = match (user, session) {
            _ if self.is_away.load(Ordering::SeqCst) => Err(away()),
            (OWNER, SESSION) if self.is_locked.swap(true, Ordering::SeqCst) => Ok(TurnLock::Busy),
            (OWNER, SESSION) => Ok(TurnLock::Taken),
            _ => Ok(TurnLock::Unknown),
        };
        async move { found }.boxed()
    }

    fn unlock(&self, _: SessionId) -> BoxFuture<'_, ()> {
        self.is_locked.store(false, Ordering::SeqCst);
        async {}.boxed()
    }

    fn newest(&self, _: SessionId, _: Slice) -> BoxFuture<'_, Result<Vec<MessageRow>, StoreError>> {
        let row = |content: &String| MessageRow {
            id: 0,
            session_id: SESSION.0,
            role: Role::User.as_str().to_owned(),
            content: content.clone(),
            model: None,
            tokens: 0,
            created_at: DateTime::UNIX_EPOCH,
        };
        let rows = self.said.lock().unwrap().iter().map(row).collect();
        async move { Ok(rows) }.boxed()
    }

    fn append<'a>(&'a self, writing: Writing, messages: &'a [NewMessage<'a>]) -> BoxFuture<'a, Result<(), StoreError>> {
        if self.is_away.load(Ordering::SeqCst) {
            return async { Err(away()) }.boxed();
        }
        if self.turns.lock().unwrap().insert(writing.turn.unwrap()) {
            self.said.lock().unwrap().extend(messages.iter().map(|message| message.content.to_owned()));
        }
        let is_lost = self.loses_answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        async move { if is_lost { Err(away()) } else { Ok(()) } }.boxed()
    }
}

/// A replica on these tables.
fn replica(tables: &Arc<Tables>) -> (Sessions, Arbiters) {
    let arbiters = Arbiters::start().unwrap();
    let supervision = Supervision { policy: RestartPolicy::default(), on_exhausted: Arc::new(|_| {}) };
    let table: Arc<dyn SessionTable> = tables.clone();
    let deps = SessionsDeps { table, clock: Arc::new(SystemClock), io: tokio::runtime::Handle::current() };
    (start(&arbiters.hot, &supervision, deps), arbiters)
}

async fn begin(sessions: &Sessions) -> Turn {
    sessions.begin(OWNER, SESSION, ALL, PATIENCE).await.expect("a turn").expect("the session")
}

fn save(turn: Turn, text: &str) -> Saving {
    let said = Said { role: Role::User, content: text.to_owned(), tokens: 0 };
    turn.save(Uuid::new_v4(), "m".to_owned(), vec![said])
}

fn history(turn: &Turn) -> Vec<&str> {
    turn.history.iter().map(|row| row.content.as_str()).collect()
}

#[actix_rt::test]
async fn turns_follow_each_other_in_the_order_of_asking_and_see_what_was_said() {
    let tables = Arc::new(Tables::default());
    let (sessions, _arbiters) = replica(&tables);
    let call = async |number: usize| {
        let turn = begin(&sessions).await;
        let before: Vec<String> = (0..number).map(|number| number.to_string()).collect();
        assert_eq!(history(&turn), before);
        tokio::task::yield_now().await;
        save(turn, &number.to_string()).wait(PATIENCE).await;
    };
    futures_util::future::join_all((0..20).map(call)).await;
    assert_eq!(tables.said.lock().unwrap().len(), 20);
}

#[actix_rt::test]
async fn who_leaves_the_line_or_drops_the_turn_lets_the_next_one_go_on() {
    let tables = Arc::new(Tables::default());
    let (sessions, _arbiters) = replica(&tables);
    let first = begin(&sessions).await;
    let mut leaver = Box::pin(begin(&sessions));
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut leaver).await.is_err());
    let next = begin(&sessions);
    drop(leaver);
    drop(first);
    let next = next.await;
    assert_eq!(history(&next), Vec::<&str>::new());
    drop(next);
    begin(&sessions).await;
}

#[actix_rt::test]
async fn strangers_and_unknown_sessions_have_no_turn_and_wait_for_nobody() {
    let tables = Arc::new(Tables::default());
    let (sessions, _arbiters) = replica(&tables);
    let _turn = begin(&sessions).await;
    for (user, session) in [(UserId(2), SESSION), (OWNER, SessionId(8))] {
        assert!(sessions.begin(user, session, ALL, PATIENCE).await.expect("an answer").is_none());
    }
}

#[actix_rt::test]
async fn a_full_line_and_one_that_does_not_move_are_busy() {
    let tables = Arc::new(Tables::default());
    let (sessions, _arbiters) = replica(&tables);
    let _turn = begin(&sessions).await;
    let short = Duration::from_millis(100);
    let waiting = (0..=WAITING_MAX).map(|_| sessions.begin(OWNER, SESSION, ALL, short));
    let began = Instant::now();
    let outcomes = futures_util::future::join_all(waiting.map(async |asking| (asking.await, began.elapsed()))).await;
    assert!(outcomes.iter().all(|(outcome, _)| matches!(outcome, Err(SessionsError::Busy))));
    // Mutant: without the bound in `Line::wait` nobody is refused at once.
    assert_eq!(outcomes.iter().filter(|(_, after)| *after < short).count(), 1);
}

#[actix_rt::test]
async fn replicas_take_turns_with_each_other() {
    let tables = Arc::new(Tables::default());
    let (one, _of_one) = replica(&tables);
    let (two, _of_two) = replica(&tables);
    let first = begin(&one).await;
    assert!(matches!(two.begin(OWNER, SESSION, ALL, Duration::from_millis(60)).await, Err(SessionsError::Busy)));
    let (second, ()) = futures_util::join!(begin(&two), async { save(first, "a").wait(PATIENCE).await });
    assert_eq!(history(&second), ["a"]);
}

#[actix_rt::test]
async fn what_was_said_is_written_once_when_the_database_is_back_and_the_next_turn_waits_for_it() {
    let tables = Arc::new(Tables::default());
    let (sessions, _arbiters) = replica(&tables);
    let turn = begin(&sessions).await;
    tables.is_away.store(true, Ordering::SeqCst);
    tables.loses_answers.store(2, Ordering::SeqCst);
    // Nobody waits for it.
    drop(save(turn, "a"));
    let next = begin(&sessions);
    let back = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        tables.is_away.store(false, Ordering::SeqCst);
    };
    let (next, ()) = futures_util::join!(next, back);
    assert_eq!(history(&next), ["a"]);
    assert!(matches!(sessions.drain(Duration::from_secs(1)).await, Ok(())));
}

#[actix_rt::test]
async fn a_drain_waits_for_what_is_being_written() {
    let tables = Arc::new(Tables::default());
    let (sessions, _arbiters) = replica(&tables);
    let turn = begin(&sessions).await;
    tables.loses_answers.store(1, Ordering::SeqCst);
    drop(save(turn, "a"));
    sessions.drain(PATIENCE).await.expect("in time");
    // Mutant: a save that takes no token of the drain's turns this red.
    assert_eq!((tables.loses_answers.load(Ordering::SeqCst), tables.is_locked.load(Ordering::SeqCst)), (0, false));
    assert!(matches!(sessions.begin(OWNER, SESSION, ALL, PATIENCE).await, Err(SessionsError::Store(_))));
}

#[actix_rt::test]
async fn a_panic_of_the_registry_parts_nobody_from_their_line() {
    let tables = Arc::new(Tables::default());
    let (sessions, _arbiters) = replica(&tables);
    let turn = begin(&sessions).await;
    sessions.crash().await;
    assert!(matches!(sessions.begin(OWNER, SESSION, ALL, Duration::from_millis(50)).await, Err(SessionsError::Busy)));
    save(turn, "a").wait(PATIENCE).await;
    assert_eq!(history(&begin(&sessions).await), ["a"]);
}
