//! The actor: when the provider is asked, and who waits for the answer.

use super::{FETCH_LIMIT, FindTokenKey, KeySet, REFRESH_EVERY, RETRY_AFTER, Shared, TokenKeyError, WINDOW};
use crate::crashable;
use crate::ports::{KeySourceError, TokenKey};
use crate::runtime::Drain;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, ResponseFuture, Supervised};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared as SharedFuture};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether the set is due.
const TICK: Duration = Duration::from_secs(1);

/// A request under way: whoever needs it has its outcome. True when a set came.
type Flight = SharedFuture<BoxFuture<'static, bool>>;

pub struct TokenKeysActor {
    shared: Arc<Shared>,
    flight: Option<Flight>,
    /// Not before, for a key that is not known; `None`: at once.
    next_try_at: Option<DateTime<Utc>>,
    refresh_at: Option<DateTime<Utc>>,
    /// The last request failed: what is not known here may be known there.
    is_away: bool,
}

/// The request is over.
#[derive(Message)]
#[rtype(result = "()")]
struct Landed {
    came: bool,
}

impl TokenKeysActor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, flight: None, next_try_at: None, refresh_at: None, is_away: false }
    }

    /// The request under way, or a new one.
    fn fly(&mut self, ctx: &Context<Self>) -> Flight {
        if let Some(flight) = &self.flight {
            return flight.clone();
        }
        let (shared, actor) = (Arc::clone(&self.shared), ctx.address());
        let asking = self.shared.io.spawn(async move {
            // A task of its own, so that a panic of the source is an outcome like any other.
            let source = Arc::clone(&shared.source);
            let asked = tokio::spawn(async move { tokio::time::timeout(FETCH_LIMIT, source.fetch()).await });
            let outcome = match asked.await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(KeySourceError(format!("no answer within {FETCH_LIMIT:?}"))),
                Err(lost) => Err(KeySourceError(lost.to_string())),
            };
            let came = shared.land(outcome);
            actor.do_send(Landed { came });
            came
        });
        let flight = async move { asking.await.unwrap_or(false) }.boxed().shared();
        self.flight = Some(flight.clone());
        flight
    }

    fn may_try(&self) -> bool {
        // Mutant: `true` in its place lets `made_up_key_ids_cost_one_request_a_window` see thousands.
        self.flight.is_some() || self.next_try_at.is_none_or(|at| at <= self.shared.clock.now())
    }

    fn refresh_when_due(&mut self, ctx: &Context<Self>) {
        if self.refresh_at.is_none_or(|at| at <= self.shared.clock.now()) {
            drop(self.fly(ctx));
        }
    }
}

impl Shared {
    /// Publishes the set that came. One that is empty is a mistake of the provider's: the last one stays.
    fn land(&self, outcome: Result<Vec<TokenKey>, KeySourceError>) -> bool {
        let failure = match outcome {
            Ok(keys) if keys.is_empty() => KeySourceError("a set without a key".to_owned()),
            Ok(keys) => {
                let keys = keys.into_iter().map(|key| (key.id.clone(), key)).collect();
                self.published.store(Some(Arc::new(KeySet { keys, fetched_at: self.clock.now() })));
                return true;
            }
            Err(error) => error,
        };
        tracing::warn!(error = %failure, "the keys of the identity provider were not refreshed");
        metrics::counter!("tollgate_token_keys_failures_total").increment(1);
        false
    }
}

impl Actor for TokenKeysActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.refresh_when_due(ctx);
        ctx.run_interval(TICK, |actor, ctx| actor.refresh_when_due(ctx));
    }
}

impl Supervised for TokenKeysActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        *self = Self::new(Arc::clone(&self.shared));
    }
}

impl Handler<Landed> for TokenKeysActor {
    type Result = ();

    fn handle(&mut self, Landed { came }: Landed, _: &mut Self::Context) {
        let now = self.shared.clock.now();
        self.flight = None;
        self.is_away = !came;
        self.next_try_at = Some(now + if came { WINDOW } else { RETRY_AFTER });
        self.refresh_at = Some(now + if came { REFRESH_EVERY } else { RETRY_AFTER });
    }
}

impl Handler<FindTokenKey> for TokenKeysActor {
    type Result = ResponseFuture<Result<TokenKey, TokenKeyError>>;

    fn handle(&mut self, FindTokenKey { id }: FindTokenKey, ctx: &mut Self::Context) -> Self::Result {
        // Someone who asked a moment earlier may have had it fetched.
        let known = self.shared.find(&id);
        if known.is_ok() || !self.may_try() {
            return std::future::ready(honest(known, self.is_away)).boxed_local();
        }
        let (flight, shared) = (self.fly(ctx), Arc::clone(&self.shared));
        async move {
            let came = flight.await;
            honest(shared.find(&id), !came)
        }
        .boxed_local()
    }
}

/// A provider that is away may have a key by now that it had not.
fn honest(found: Result<TokenKey, TokenKeyError>, is_away: bool) -> Result<TokenKey, TokenKeyError> {
    match found {
        Err(TokenKeyError::Unknown) if is_away => Err(TokenKeyError::Unavailable),
        found => found,
    }
}

impl Handler<Drain> for TokenKeysActor {
    type Result = ();

    /// Nothing is held that the provider lacks.
    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

crashable!(TokenKeysActor);
