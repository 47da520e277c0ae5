//! The actor: reads what the table has of a key, once for all who ask, and keeps the rhythm of writing. It decides nothing
//! about calls, and no call waits for it but the first of a key.

use super::Shared;
use crate::runtime::Drain;
use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture, Supervised};
use chrono::{Months, TimeDelta};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared as SharedFuture, WeakShared};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tollgate_domain::{KeyId, UserId};
use tollgate_store::limit_counters::Subject;

/// How much a crash of the process may lose.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
const FORGET_EVERY: Duration = Duration::from_secs(10);
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// How long a drain pauses before it tries again to write.
const DRAIN_PAUSE: Duration = Duration::from_millis(100);
const ALERTS_KEPT: TimeDelta = TimeDelta::days(90);

type Reading = BoxFuture<'static, ()>;

pub(super) struct LimiterActor {
    shared: Arc<Shared>,
    readings: HashMap<(UserId, KeyId), WeakShared<Reading>>,
}

impl LimiterActor {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, readings: HashMap::new() }
    }

    /// Beside the actor: a restart must not lose a batch.
    fn flush(&self) {
        let shared = Arc::clone(&self.shared);
        self.shared.io.spawn(async move {
            if let Err(error) = shared.flush().await {
                tracing::warn!(%error, "the limits' counts wait for the database");
            }
        });
    }

    fn prune(&self) {
        let shared = Arc::clone(&self.shared);
        self.shared.io.spawn(async move {
            let now = shared.clock.now();
            // Two months, so that no replica's month is forgotten whose clock is behind.
            let months = now.checked_sub_months(Months::new(2)).unwrap_or(now);
            if let Err(error) = shared.table.prune(months, now - ALERTS_KEPT).await {
                tracing::warn!(%error, "old counts of limits are not forgotten yet");
            }
        });
    }
}

impl Actor for LimiterActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.flush();
        context.run_interval(FLUSH_EVERY, |actor, _| actor.flush());
        context.run_interval(PRUNE_EVERY, |actor, _| actor.prune());
        context.run_interval(FORGET_EVERY, |actor, _| {
            actor.readings.retain(|_, reading| reading.upgrade().is_some());
            let users = actor.shared.accounts.forget_idle(actor.shared.clock.now().timestamp_millis());
            metrics::gauge!("tollgate_limiter_users").set(u32::try_from(users).map_or(f64::INFINITY, f64::from));
        });
    }
}

impl Supervised for LimiterActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.readings.clear();
    }
}

/// Read what the table has of a user and a key. Answers when memory has it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Load {
    pub user: UserId,
    pub key: KeyId,
}

impl Handler<Load> for LimiterActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Load { user, key }: Load, _: &mut Self::Context) -> Self::Result {
        let under_way: Option<SharedFuture<Reading>> = self.readings.get(&(user, key)).and_then(WeakShared::upgrade);
        let reading = under_way.unwrap_or_else(|| {
            let reading = read(Arc::clone(&self.shared), user, key).boxed().shared();
            if let Some(weak) = reading.downgrade() {
                self.readings.insert((user, key), weak);
            }
            reading
        });
        reading.boxed_local()
    }
}

/// A table that is away is as one without counts: the ledger refuses then anyway, and the totals come with the next flush.
async fn read(shared: Arc<Shared>, user: UserId, key: KeyId) {
    let versions = shared.accounts.versions(user, key);
    let rows = shared.table.read(&[Subject::User(user), Subject::Key(key)]).await.unwrap_or_else(|error| {
        tracing::warn!(%error, %user, "a user's limits begin without what was counted before");
        Vec::new()
    });
    shared.accounts.learn(user, key, versions, &rows, shared.clock.now().timestamp_millis());
}

impl Handler<Drain> for LimiterActor {
    type Result = ResponseFuture<()>;

    /// Tries until the counts are written; the asker's time-out bounds it.
    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let shared = Arc::clone(&self.shared);
        async move {
            while let Err(error) = shared.flush().await {
                tracing::warn!(%error, "the limits' counts wait for the database");
                tokio::time::sleep(DRAIN_PAUSE).await;
            }
        }
        .boxed_local()
    }
}

#[cfg(any(test, feature = "fault-injection"))]
crate::crashable!(LimiterActor);
