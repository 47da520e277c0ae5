//! The keys of a provider that does as it is told, under a turned clock.

use super::*;
use crate::ports::KeySourceError;
use crate::runtime::{Arbiters, Crash, RestartPolicy};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

const PATIENCE: Duration = Duration::from_secs(10);

struct TurnedClock(Mutex<DateTime<Utc>>);

impl TurnedClock {
    fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

#[derive(Clone)]
enum Answer {
    Keys(Vec<&'static str>),
    Fails,
    Panics,
}

struct Provider {
    answer: Mutex<Answer>,
    asked: AtomicUsize,
    /// Each answer takes one.
    answers: Semaphore,
}

impl KeySource for Provider {
    fn fetch(&self) -> BoxFuture<'_, Result<Vec<TokenKey>, KeySourceError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        async {
            self.answers.acquire().await.unwrap().forget();
            let answer = self.answer.lock().unwrap().clone();
            match answer {
                Answer::Keys(ids) => Ok(ids.into_iter().map(key).collect()),
                Answer::Fails => Err(KeySourceError("away on request".to_owned())),
                Answer::Panics => panic!("a source panicked on request"),
            }
        }
        .boxed()
    }
}

fn key(id: &str) -> TokenKey {
    TokenKey { id: id.to_owned(), point: [4; 65] }
}

struct World {
    keys: TokenKeys,
    provider: Arc<Provider>,
    clock: Arc<TurnedClock>,
    _arbiters: Arbiters,
}

impl World {
    /// The provider has been asked once, and has answered so.
    async fn with(answer: Answer) -> Self {
        let provider =
            Arc::new(Provider { answer: Mutex::new(answer), asked: AtomicUsize::new(0), answers: Semaphore::new(100_000) });
        let clock = Arc::new(TurnedClock(Mutex::new("2026-11-22T06:00:00Z".parse().unwrap())));
        let arbiters = Arbiters::start().unwrap();
        let supervision = Supervision { policy: RestartPolicy::default(), on_exhausted: Arc::new(|_| {}) };
        let deps = TokenKeysDeps { source: provider.clone(), clock: clock.clone(), io: tokio::runtime::Handle::current() };
        let keys = start(&arbiters.slow, &supervision, deps);
        let world = Self { keys, provider, clock, _arbiters: arbiters };
        world.landed(1).await;
        world
    }

    fn turn(&self, answer: Answer) {
        *self.provider.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.provider.asked.load(Ordering::SeqCst)
    }

    async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let waiting = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    /// The provider has been asked that often, and nothing is under way: a flight's end is a message behind its outcome.
    async fn landed(&self, asked: usize) {
        self.until("the provider is asked", || self.asked() >= asked).await;
        // An unknown key waits for the flight; the next one is behind its end.
        let _ = self.keys.find("nobody's").await;
        let _ = self.keys.find("nobody's").await;
    }

    async fn find(&self, id: &str) -> Result<TokenKey, TokenKeyError> {
        tokio::time::timeout(PATIENCE, self.keys.find(id)).await.expect("an answer")
    }
}

#[actix_rt::test]
async fn a_rotation_is_seen_with_one_request() {
    let world = World::with(Answer::Keys(vec!["old"])).await;
    assert_eq!(world.find("old").await, Ok(key("old")));
    world.turn(Answer::Keys(vec!["old", "new"]));
    world.clock.advance(WINDOW);
    let before = world.asked();
    let found = join_all((0..100).map(|_| world.find("new"))).await;
    assert!(found.iter().all(|found| *found == Ok(key("new"))));
    // Mutant: without `flight` each of them asks by itself.
    assert_eq!(world.asked(), before + 1);
    assert_eq!(world.find("old").await, Ok(key("old")));
    assert_eq!(world.asked(), before + 1);
}

#[actix_rt::test]
async fn made_up_key_ids_cost_one_request_a_window() {
    let world = World::with(Answer::Keys(vec!["known"])).await;
    for window in 0..3 {
        world.clock.advance(WINDOW);
        let before = world.asked();
        for chunk in 0..50 {
            let ids: Vec<_> = (0..200).map(|n| format!("{window}-{chunk}-{n}")).collect();
            let found = join_all(ids.iter().map(|id| world.find(id))).await;
            assert!(found.iter().all(|found| *found == Err(TokenKeyError::Unknown)));
        }
        assert_eq!(world.asked(), before + 1, "10,000 key ids");
        assert_eq!(world.find("known").await, Ok(key("known")));
    }
}

#[actix_rt::test]
async fn while_the_provider_is_away_known_keys_work_and_others_can_not_be_told() {
    let world = World::with(Answer::Keys(vec!["known"])).await;
    for answer in [Answer::Fails, Answer::Panics, Answer::Keys(vec![])] {
        world.turn(answer);
        world.clock.advance(TimeDelta::hours(1));
        assert_eq!(world.find("known").await, Ok(key("known")));
        assert_eq!(world.find("new").await, Err(TokenKeyError::Unavailable));
        assert_eq!(world.find("new").await, Err(TokenKeyError::Unavailable), "within the pause, too");
    }
    world.turn(Answer::Keys(vec!["known", "new"]));
    world.clock.advance(RETRY_AFTER);
    assert_eq!(world.find("new").await, Ok(key("new")));
}

#[actix_rt::test]
async fn keys_that_nobody_could_refresh_for_a_day_are_not_believed() {
    let world = World::with(Answer::Keys(vec!["known"])).await;
    world.turn(Answer::Fails);
    world.clock.advance(STALE_MAX - TimeDelta::seconds(1));
    assert_eq!(world.find("known").await, Ok(key("known")));
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(world.find("known").await, Err(TokenKeyError::Unavailable));
}

#[actix_rt::test]
async fn a_key_that_was_withdrawn_is_trusted_no_longer_than_a_refresh() {
    let world = World::with(Answer::Keys(vec!["leaked", "good"])).await;
    world.turn(Answer::Keys(vec!["good"]));
    let asked = world.asked();
    world.clock.advance(REFRESH_EVERY);
    world.until("the set is refreshed", || world.asked() > asked).await;
    world.until("it is published", || world.keys.shared.find("leaked").is_err()).await;
    assert_eq!(world.find("good").await, Ok(key("good")));
    assert_eq!(world.find("leaked").await, Err(TokenKeyError::Unknown));
}

#[actix_rt::test]
async fn a_panic_of_the_actor_loses_no_key() {
    let world = World::with(Answer::Keys(vec!["known"])).await;
    let _ = world.keys.handle().ask(Crash).await;
    assert_eq!(world.find("known").await, Ok(key("known")));
    world.turn(Answer::Keys(vec!["known", "new"]));
    world.until("it is asked again", || world.asked() > 1).await;
    world.clock.advance(WINDOW);
    assert_eq!(world.find("new").await, Ok(key("new")));
}
