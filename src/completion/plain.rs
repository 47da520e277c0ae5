//! An answer in one piece. Once begun it is finished and charged, whether or not the client still waits (decision 8).

use super::PlainAnswer;
use super::attempt::{Attempts, Reach, Tried};
use super::bill::Bill;
use super::facts::Facts;
use super::job::{Begun, Job, Opened};
use super::refusal;
use super::relay::with_member;
use super::route::Offer;
use super::settle::Received;
use crate::http::error::ApiError;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tollgate_actors::ledger::{CallPermit, Ticket};
use tollgate_actors::ports::{GatewayError, UpstreamAnswer};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// An answer that was read to its end.
struct Whole {
    offer: Offer,
    body: Bytes,
    received: Received,
}

/// Makes the call. Until it has an answer to give, every way out releases the hold.
///
/// # Errors
/// What the client is told instead.
pub(super) async fn run(mut job: Box<Job>, ticket: Ticket) -> Result<PlainAnswer, ApiError> {
    let (whole, limit, bill) = answer(&mut job, ticket).await?;
    let answer = PlainAnswer {
        body: with_member(&whole.body, "gateway_usage", &bill.gateway_usage(&job)),
        generation: job.generation.clone(),
        status: 200,
        content_type: "application/json".to_owned(),
        max_tokens_lowered: limit,
    };
    if let Some(claim) = job.claim.take().filter(|_| bill.charge.is_some()) {
        claim.answered(Some(&answer)).await;
    }
    Ok(answer)
}

/// The answer, settled. One that is there before its hold is durable is settled together with it; but not in a chat session, where
/// its words would be kept before it is known that they are paid for.
async fn answer(job: &mut Job, ticket: Ticket) -> Result<(Whole, Option<i64>, Bill), ApiError> {
    let mut attempts = Attempts::of(job, Tried::default());
    let begun = match job.session {
        Some(_) => Begun::Held(Box::pin(job.open::<ToEnd>(ticket, &mut attempts)).await?),
        None => job.begin::<ToEnd>(ticket, &mut attempts).await?,
    };
    let tried = attempts.tried();
    let opened = match begun {
        Begun::Held(opened) => opened,
        Begun::Answered(ticket, whole) => match job.close_early(ticket, &whole.offer, &whole.received).await? {
            Ok(bill) => return Ok((whole, None, bill)),
            Err(ticket) => Box::pin(job.answer_within::<ToEnd>(ticket, Some(Ok(whole)), &mut Attempts::of(job, tried))).await?,
        },
    };
    let Opened { ticket, answered: whole, limit } = opened;
    if let Some(session) = &mut job.session {
        session.said.note(&whole.body);
    }
    let bill = job.close(ticket, &whole.offer, &whole.received).await?;
    Ok((whole, limit, bill))
}

/// To the answer's end.
struct ToEnd;

impl Reach for ToEnd {
    type Answer<'a> = Whole;

    async fn ask(attempts: &mut Attempts<'_>, permit: &CallPermit, limit: Option<i64>) -> Result<Whole, ApiError> {
        let mut answered = attempts.next(permit, limit).await?;
        loop {
            match whole(&mut answered.answer).await {
                Ok((body, received)) => {
                    answered.is_good();
                    return Ok(Whole { offer: answered.offer().clone(), body, received });
                }
                Err(error) => answered = Box::pin(attempts.after(answered, &error, permit, limit)).await?,
            }
        }
    }
}

/// Reads the answer to its end.
async fn whole(answer: &mut UpstreamAnswer) -> Result<(Bytes, Received), GatewayError> {
    let body = collect(&mut answer.body).await?;
    let received = read(&body)?;
    Ok((body, received))
}

/// All of the body. One piece, the usual case, is not copied.
pub(super) async fn collect(pieces: &mut BoxStream<'static, Result<Bytes, GatewayError>>) -> Result<Bytes, GatewayError> {
    let Some(first) = pieces.next().await.transpose()? else { return Ok(Bytes::new()) };
    let Some(second) = pieces.next().await.transpose()? else { return Ok(without_mark(first)) };
    let mut whole = BytesMut::from(first);
    whole.extend_from_slice(&second);
    while let Some(piece) = pieces.next().await.transpose()? {
        whole.extend_from_slice(&piece);
    }
    Ok(without_mark(whole.freeze()))
}

fn without_mark(body: Bytes) -> Bytes {
    if body.starts_with(BYTE_ORDER_MARK) { body.slice(BYTE_ORDER_MARK.len()..) } else { body }
}

fn read(body: &[u8]) -> Result<Received, GatewayError> {
    let facts = Facts::read(body).map_err(|error| GatewayError::Malformed(error.to_string()))?;
    match facts.error {
        Some(error) if facts.choices.count == 0 => return Err(refusal::error_in_answer(error)),
        _ if !facts.has_choices => return Err(GatewayError::Malformed("an answer without choices".to_owned())),
        _ => {}
    }
    let mut received = Received::default();
    received.note(&facts);
    Ok(received)
}
