//! The rhythm. The work runs beside the actor, on the I/O runtime; a piece that takes longer than a beat is waited for.

use super::heads::Heads;
use super::{FOLD_EVERY, HEAD_EVERY, PRUNE_EVERY, UpkeepDeps, chores};
use crate::runtime::Drain;
use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture, Supervised};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct UpkeepActor {
    deps: Arc<UpkeepDeps>,
    heads: Arc<Heads>,
    stop: CancellationToken,
    folding: Option<JoinHandle<()>>,
    pruning: Option<JoinHandle<()>>,
    heading: Option<JoinHandle<()>>,
}

impl UpkeepActor {
    pub(super) fn new(deps: Arc<UpkeepDeps>) -> Self {
        let heads = Arc::new(Heads::new(deps.store.clone(), &deps.data_dir));
        Self { deps, heads, stop: CancellationToken::new(), folding: None, pruning: None, heading: None }
    }

    fn fold(&mut self) {
        if is_idle(self.folding.as_ref()) {
            let work = chores::fold(Arc::clone(&self.deps), self.stop.clone());
            self.folding = Some(self.deps.store.io().spawn(work));
        }
    }

    fn prune(&mut self) {
        if is_idle(self.pruning.as_ref()) {
            let work = chores::prune(Arc::clone(&self.deps), self.stop.clone());
            self.pruning = Some(self.deps.store.io().spawn(work));
        }
    }

    fn write_head(&mut self) {
        if is_idle(self.heading.as_ref()) {
            let heads = Arc::clone(&self.heads);
            self.heading = Some(self.deps.store.io().spawn(async move { heads.write_down().await }));
        }
    }
}

fn is_idle(work: Option<&JoinHandle<()>>) -> bool {
    work.is_none_or(JoinHandle::is_finished)
}

impl Actor for UpkeepActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.prune();
        context.run_interval(FOLD_EVERY, |actor, _| actor.fold());
        context.run_interval(HEAD_EVERY, |actor, _| actor.write_head());
        context.run_interval(PRUNE_EVERY, |actor, _| actor.prune());
    }
}

impl Supervised for UpkeepActor {}

crate::crashable!(UpkeepActor);

impl Handler<Drain> for UpkeepActor {
    type Result = ResponseFuture<()>;

    /// Lets the pieces under way end; the last head is written down.
    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.stop.cancel();
        let under_way = [self.folding.take(), self.pruning.take(), self.heading.take()];
        let heads = Arc::clone(&self.heads);
        Box::pin(async move {
            for work in under_way.into_iter().flatten() {
                if work.await.is_err() {
                    tracing::error!("a piece of upkeep did not end by itself");
                }
            }
            heads.write_down().await;
        })
    }
}
