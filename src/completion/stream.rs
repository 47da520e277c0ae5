//! An answer as it comes.

use super::StreamHead;
use super::attempt::{Answered, Attempts, ToHead, Tried};
use super::job::{Job, Opened};
use super::outlet::{self, Gone, HeadSender, Outlet};
use super::plain::collect;
use super::relay::{Closing, Progress, Relay};
use super::route::Offer;
use super::settle::Ending;
use crate::http::error::ApiError;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep_until, timeout};
use tollgate_actors::ledger::{ConfirmedTicket, Ticket};
use tollgate_actors::ports::{GatewayError, UpstreamAnswer};

type Pieces = BoxStream<'static, Result<Bytes, GatewayError>>;

/// How long a provider may take to end its body after `[DONE]`; only then its connection can be used again.
const AFTER_DONE: Duration = Duration::from_millis(200);

/// Makes the call and passes its answer on. Every way out closes the hold.
///
/// What comes before the first piece and after the last one is boxed: it takes more room than the passing-on, which lasts.
pub(super) async fn run(job: Box<Job>, ticket: Ticket, mut head: HeadSender<StreamHead>) {
    let mut attempts = Attempts::of(&job, Tried::default());
    let Opened { ticket, mut answered, limit } = match Box::pin(open(&job, ticket, &mut attempts, &mut head)).await {
        Some(Ok(opened)) => opened,
        Some(Err(error)) => return drop(head.send(Err(error))),
        None => return,
    };
    let mut outlet = outlet::open(head, job.services.settings.timeouts.write, |body| StreamHead {
        generation: job.generation.clone(),
        body,
        max_tokens_lowered: limit,
    });
    let (mut relay, outcome, offer) = loop {
        let mut relay = Relay::new(job.request.include_usage, job.request.choices);
        if job.session.is_some() {
            relay.keep_text();
        }
        let outcome = match pass_on(&mut answered, &mut relay, &mut outlet).await {
            Passed::Whole => Outcome::Whole,
            Passed::Gone => Outcome::Gone,
            Passed::Broken(error) => {
                answered.broke();
                Outcome::Failed(job.refusal(answered.offer().gateway, &error))
            }
            // Nothing has been told yet: somebody else may do better.
            Passed::Nothing(error) => {
                let (offer, permit) = (answered.offer(), ticket.permit());
                match while_here(Box::pin(attempts.after(answered, &error, &permit, limit)), &mut outlet).await {
                    Ok(Ok(next)) => answered = next,
                    Ok(Err(refusal)) => break (relay, Outcome::Failed(refusal), offer.clone()),
                    Err(Gone) => break (relay, Outcome::Gone, offer.clone()),
                }
                continue;
            }
        };
        break (relay, outcome, answered.offer().clone());
    };
    Box::pin(close(job, ticket, offer, &mut relay, outcome, outlet)).await;
}

/// The provider's answer; `None` when the client has left before: the call is dropped, and with it the hold.
async fn open<'a>(
    job: &'a Job,
    ticket: Ticket,
    attempts: &mut Attempts<'a>,
    head: &mut HeadSender<StreamHead>,
) -> Option<Result<Opened<Answered<'a>>, ApiError>> {
    tokio::select! {
        opened = job.open::<ToHead>(ticket, attempts) => Some(opened),
        () = head.closed() => None,
    }
}

/// Waits for another gateway as for one that is silent: a client that has left is noticed by a ping.
async fn while_here<T>(mut waiting: impl Future<Output = T> + Unpin, outlet: &mut Outlet<StreamHead>) -> Result<T, Gone> {
    loop {
        let ping_at = outlet.ping_at();
        tokio::select! {
            done = &mut waiting => return Ok(done),
            () = outlet.gone() => return Err(Gone),
            () = sleep_until(ping_at) => outlet.ping().await?,
        }
    }
}

/// Settles what has come of the answer, then lets the client see how it ended.
async fn close(
    mut job: Box<Job>,
    ticket: ConfirmedTicket,
    offer: Offer,
    relay: &mut Relay,
    outcome: Outcome,
    outlet: Outlet<StreamHead>,
) {
    relay.received_mut().ending = outcome.ending();
    if let (Some(session), Some(text)) = (&mut job.session, relay.take_text()) {
        session.said = text;
    }
    let bill = job.close(ticket, &offer, relay.received()).await;
    if let (Ok(bill), Some(claim)) = (&bill, job.claim.take())
        && bill.charge.is_some()
    {
        claim.answered(None).await;
    }
    match (outcome, bill) {
        (Outcome::Gone, _) => {}
        (Outcome::Failed(error), _) | (Outcome::Whole, Err(error)) => outlet.fail(error).await,
        (Outcome::Whole, Ok(bill)) => {
            let closing = relay.closing(&Closing {
                generation: job.generation.as_str(),
                created: job.services.clock.now().timestamp(),
                model: &job.request.model,
                usage: bill.usage(),
                is_theirs: bill.is_theirs(),
                gateway_usage: &bill.gateway_usage(&job),
            });
            outlet.finish(closing).await;
        }
    }
}

/// How the passing-on ended.
enum Outcome {
    Whole,
    Failed(ApiError),
    Gone,
}

impl Outcome {
    const fn ending(&self) -> Ending {
        match self {
            Self::Whole => Ending::Whole,
            Self::Failed(_) => Ending::Broken,
            Self::Gone => Ending::Abandoned,
        }
    }
}

/// How one answer went.
enum Passed {
    Whole,
    /// Nothing of it has gone to the client.
    Nothing(GatewayError),
    Broken(GatewayError),
    Gone,
}

impl From<Gone> for Passed {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Passes pieces on until the answer is whole, breaks, or the client leaves; then the provider's connection is dropped.
async fn pass_on(answered: &mut Answered<'_>, relay: &mut Relay, outlet: &mut Outlet<StreamHead>) -> Passed {
    let mut pieces = match events(&mut answered.answer).await {
        Ok(pieces) => pieces,
        Err(error) => return Passed::Nothing(error),
    };
    let mut begun = false;
    loop {
        let ping_at = outlet.ping_at();
        let piece = tokio::select! {
            biased;
            piece = pieces.next() => piece,
            () = outlet.gone() => return Passed::Gone,
            // Mutant: without pings `a_client_that_closes_while_the_provider_is_silent_is_noticed_by_a_ping` is red.
            () = sleep_until(ping_at) => match outlet.ping().await {
                Ok(()) => continue,
                Err(gone) => return gone.into(),
            },
        };
        let progress = match piece {
            Some(Ok(piece)) => relay.feed(&piece),
            Some(Err(error)) => Progress::Failed(error),
            None => relay.end(),
        };
        // Mutant: without the condition a stream's opening chunk ends all fail-over:
        // `what_fails_before_the_first_byte_is_served_by_the_next_gateway_and_charged_once` is red.
        if relay.has_begun()
            && let Some(output) = relay.take_output()
        {
            if !begun {
                begun = true;
                answered.is_good();
            }
            if let Err(gone) = outlet.send(output).await {
                return gone.into();
            }
        }
        match progress {
            Progress::More => {}
            Progress::Done => {
                if !begun {
                    answered.is_good();
                }
                finish(pieces);
                return Passed::Whole;
            }
            Progress::Failed(error) if begun => return Passed::Broken(error),
            Progress::Failed(error) => return Passed::Nothing(error),
        }
    }
}

/// Reads what stands behind `[DONE]`, so that the provider's connection can be used again. Most often nothing does.
fn finish(mut pieces: Pieces) {
    loop {
        match pieces.next().now_or_never() {
            Some(Some(Ok(_))) => {}
            Some(None | Some(Err(_))) => return,
            None => break,
        }
    }
    let rest = async move { while let Some(Ok(_)) = pieces.next().await {} };
    // Nobody waits for it: it holds no money and ends soon.
    drop(tokio::spawn(timeout(AFTER_DONE, rest)));
}

/// The answer as events. A provider that answers a stream with plain JSON has its answer made into one.
async fn events(answer: &mut UpstreamAnswer) -> Result<Pieces, GatewayError> {
    if answer.content_type == "text/event-stream" {
        return Ok(std::mem::replace(&mut answer.body, stream::empty().boxed()));
    }
    let body = collect(&mut answer.body).await?;
    let events = events_of(&body).ok_or_else(|| GatewayError::Malformed("plain JSON that is no completion".to_owned()))?;
    Ok(stream::iter([Ok(events)]).boxed())
}

fn events_of(body: &[u8]) -> Option<Bytes> {
    let mut answer: Value = serde_json::from_slice(body).ok()?;
    if answer.get("error").is_none() {
        for choice in answer.get_mut("choices")?.as_array_mut()? {
            let choice = choice.as_object_mut()?;
            let message = choice.remove("message")?;
            choice.insert("delta".to_owned(), message);
        }
        answer.as_object_mut()?.insert("object".to_owned(), json!("chat.completion.chunk"));
    }
    Some(Bytes::from(format!("data: {answer}\n\ndata: [DONE]\n\n")))
}
