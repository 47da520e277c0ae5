//! The registry of lines. It answers at once; who waits, waits in the line itself.

use super::line::Line;
use crate::runtime::{Drain, InFlight};
use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult, ResponseFuture, Supervised};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tollgate_domain::{SessionId, UserId};

const FORGET_EVERY: Duration = Duration::from_secs(10);
/// How long a drain waits for what is being written; those who drain have a limit of their own.
const DRAIN_LIMIT: Duration = Duration::from_secs(8);

pub(super) struct SessionsActor {
    /// Kept alive by those who stand in them, so a panic here parts nobody from their line.
    lines: HashMap<(UserId, SessionId), Weak<Line>>,
    tasks: InFlight,
}

impl SessionsActor {
    pub fn new(tasks: InFlight) -> Self {
        Self { lines: HashMap::new(), tasks }
    }
}

impl Actor for SessionsActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(FORGET_EVERY, |actor, _| actor.lines.retain(|_, line| line.strong_count() > 0));
    }
}

impl Supervised for SessionsActor {}

/// The line of a user's session.
#[derive(Message)]
#[rtype(result = "Arc<Line>")]
pub(super) struct FindLine {
    pub user: UserId,
    pub session: SessionId,
}

impl Handler<FindLine> for SessionsActor {
    type Result = MessageResult<FindLine>;

    fn handle(&mut self, FindLine { user, session }: FindLine, _: &mut Self::Context) -> Self::Result {
        let known = self.lines.entry((user, session)).or_default();
        MessageResult(known.upgrade().unwrap_or_else(|| {
            let line = Arc::new(Line::default());
            *known = Arc::downgrade(&line);
            line
        }))
    }
}

impl Handler<Drain> for SessionsActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let tasks = self.tasks.clone();
        Box::pin(async move {
            let report = tasks.drain(DRAIN_LIMIT).await;
            if report.abandoned > 0 {
                tracing::error!(turns = report.abandoned, "what was said in chat sessions is not all written");
            }
        })
    }
}

#[cfg(any(test, feature = "fault-injection"))]
crate::crashable!(SessionsActor);
