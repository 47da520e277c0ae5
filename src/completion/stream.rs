//! An answer as it comes.

use super::StreamHead;
use super::job::{Job, Opened};
use super::outlet::{self, Gone, HeadSender, Outlet};
use super::plain::collect;
use super::refusal;
use super::relay::{Closing, Progress, Relay};
use super::settle::Ending;
use crate::http::error::ApiError;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep_until, timeout};
use tollgate_actors::ledger::Ticket;
use tollgate_actors::ports::{GatewayError, UpstreamAnswer};

type Pieces = BoxStream<'static, Result<Bytes, GatewayError>>;

/// How long a provider may take to end its body after `[DONE]`; only then its connection can be used again.
const AFTER_DONE: Duration = Duration::from_millis(200);

/// Makes the call and passes its answer on. Every way out closes the hold.
pub(super) async fn run(mut job: Job, ticket: Ticket, mut head: HeadSender<StreamHead>) {
    let opened = tokio::select! {
        opened = job.open(ticket) => opened,
        // The client has left: the call is dropped, and with it the hold.
        () = head.closed() => return,
    };
    let Opened { ticket, offer, answer, limit } = match opened {
        Ok(opened) => opened,
        Err(error) => return drop(head.send(Err(error))),
    };
    let mut outlet = outlet::open(head, job.services.settings.timeouts.write, |body| StreamHead {
        generation: job.generation.clone(),
        body,
        max_tokens_lowered: limit.map(|limit| limit.tokens),
    });
    let mut relay = Relay::new(offer.gateway, job.request.include_usage, job.request.choices);
    let outcome = match events(answer).await {
        Ok(pieces) => pump(pieces, &mut relay, &mut outlet, offer.gateway).await,
        Err(error) => Outcome::Failed(refusal::of_gateway(offer.gateway, &error)),
    };
    relay.received_mut().ending = outcome.ending();
    let bill = job.close(ticket, offer, relay.received()).await;
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

impl From<Gone> for Outcome {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Passes pieces on until the answer is whole, breaks, or the client leaves; then the provider's connection is dropped.
async fn pump(
    mut pieces: Pieces,
    relay: &mut Relay,
    outlet: &mut Outlet<StreamHead>,
    gateway: tollgate_domain::GatewayId,
) -> Outcome {
    loop {
        let ping_at = outlet.ping_at();
        let piece = tokio::select! {
            biased;
            piece = pieces.next() => piece,
            () = outlet.gone() => return Outcome::Gone,
            // Mutant: without pings `a_client_that_closes_while_the_provider_is_silent_is_noticed_by_a_ping` is red.
            () = sleep_until(ping_at) => match outlet.ping().await {
                Ok(()) => continue,
                Err(gone) => return gone.into(),
            },
        };
        let progress = match piece {
            Some(Ok(piece)) => relay.feed(&piece),
            Some(Err(error)) => Progress::Failed(refusal::of_gateway(gateway, &error)),
            None => relay.end(),
        };
        if let Some(output) = relay.take_output()
            && let Err(gone) = outlet.send(output).await
        {
            return gone.into();
        }
        match progress {
            Progress::More => {}
            Progress::Done => {
                finish(pieces);
                return Outcome::Whole;
            }
            Progress::Failed(error) => return Outcome::Failed(error),
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
async fn events(answer: UpstreamAnswer) -> Result<Pieces, GatewayError> {
    if answer.content_type == "text/event-stream" {
        return Ok(answer.body);
    }
    let body = collect(answer.body).await?;
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
