//! The way of a chat completion, from its bytes to its last byte: read, route, hold, call, pass on, settle, record.
//!
//! ```text
//! door ── Order ──▶ admission: read ▶ route ▶ claim ▶ history ▶ quote ▶ hold ──▶ Job + Ticket
//!                                                                    │ a task of its own: a handler that is dropped
//!   handler ◀── answer, or head and body ◀── plain / stream ◀────────┘ loses nothing
//!                                            open (attempts) ▶ read or relay ▶ close (settle, record)
//! ```
//!
//! No call without a hold: a gateway is asked with a permit that only a ticket gives. No byte before the hold is durable, no
//! last byte before the settle is.

mod admission;
mod attempt;
mod bill;
mod claim;
mod estimate;
mod facts;
#[cfg(test)]
mod fuzz;
mod history;
mod job;
mod limits;
mod note;
mod outlet;
mod plain;
mod portkey;
mod refusal;
mod relay;
mod request;
mod route;
mod settle;
mod sse;
mod stream;
mod text;

pub use admission::{CallQuery, Order};
pub use outlet::Outflow;

use crate::adapters::Gateways;
use crate::http::error::ApiError;
use crate::startup::Services;
use actix_web::web;
use bytes::Bytes;
use claim::Claiming;
use job::Job;
use tokio::sync::oneshot;
use tollgate_actors::ledger::Ticket;
use tollgate_domain::{GenerationId, SessionId};

/// What the client gets.
pub enum Answer {
    Plain(PlainAnswer),
    Stream(StreamHead),
    /// The answer to the first request under the same Idempotency-Key.
    Replayed(PlainAnswer),
}

/// A whole answer.
pub struct PlainAnswer {
    pub generation: GenerationId,
    pub status: u16,
    pub content_type: String,
    pub body: Bytes,
    /// The limit for each choice, where the balance afforded less than was asked for.
    pub max_tokens_lowered: Option<i64>,
}

/// The start of a stream.
pub struct StreamHead {
    pub generation: GenerationId,
    pub body: Outflow,
    pub max_tokens_lowered: Option<i64>,
}

/// Serves one chat completion. The call itself runs in a task: whoever stops waiting here loses no money and no answer that
/// was paid for.
///
/// # Errors
/// What the client is told when there is no answer.
pub async fn complete(services: &web::Data<Services>, gateways: &Gateways, order: Order) -> Result<Answer, ApiError> {
    let mut read = admission::read(services, order)?;
    let claim = match claim::claim(services, &read).await? {
        Claiming::Ours(claim) => claim,
        Claiming::Answered(answer) => return Ok(Answer::Replayed(answer)),
    };
    let session = match read.query.session_id {
        // Boxed: calls without a session carry nothing of it.
        Some(session) => Box::pin(history::join(services, SessionId(session), &mut read)).await?,
        None => None,
    };
    let (job, ticket) = admission::admit(services, gateways, read, claim, session).await?;
    if job.request.stream {
        return start_stream(services, job, ticket).await.map_err(|_| lost())?.map(Answer::Stream);
    }
    start_plain(services, job, ticket).await.map_err(|_| lost())?.map(Answer::Plain)
}

// The call's future is boxed: a task moves its own when it is made and when it ends.

fn start_stream(services: &Services, job: Box<Job>, ticket: Ticket) -> oneshot::Receiver<Result<StreamHead, ApiError>> {
    let (head, started) = oneshot::channel();
    services.tasks.spawn(Box::pin(stream::run(job, ticket, head)));
    started
}

fn start_plain(services: &Services, job: Box<Job>, ticket: Ticket) -> oneshot::Receiver<Result<PlainAnswer, ApiError>> {
    let (reply, answered) = oneshot::channel();
    services.tasks.spawn(Box::pin(async move {
        let answer = plain::run(job, ticket).await;
        // A client that has left is charged all the same (decision 8).
        drop(reply.send(answer));
    }));
    answered
}

/// The task is gone without an answer: it panicked, and its hold was released.
fn lost() -> ApiError {
    ApiError::internal(&std::io::Error::other("a completion's task ended without an answer"))
}
