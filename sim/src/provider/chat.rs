//! A chat completion, from its request to its end.

use super::answer::Answer;
use super::behaviour::{Behaviour, Fault, UnknownBehaviour};
use super::http::{Conn, Credential, Gone, Request};
use super::request::ChatRequest;
use super::stats::Meter;
use super::{Ended, Shared, faults, plain, reply, stream};

/// Models called `sim/…` whose name tells no behaviour.
const PRICED_MODELS: &[&str] = &["dime"];

pub(super) async fn complete(conn: &mut Conn, shared: &Shared, request: &Request) -> Result<Ended, Gone> {
    let mut meter = shared.counters.receive(request);
    if request.credential != Credential::Good {
        return reject(conn, shared, meter, 401, "Incorrect API key provided").await;
    }
    let chat = match ChatRequest::parse(&request.body) {
        Ok(chat) => chat,
        Err(message) => return reject(conn, shared, meter, 400, &message).await,
    };
    let behaviour = match behaviour(shared, &chat.model, request.behaviour.as_deref()) {
        Ok(behaviour) => behaviour,
        Err(unknown) => return reject(conn, shared, meter, 404, &unknown.to_string()).await,
    };
    meter.start(&chat.model);
    let answer = Answer::new(meter.id(), &chat, behaviour, shared);
    let ended = respond(conn, &answer, chat.stream, &meter).await?;
    match ended {
        Ended::Finished => meter.finish(),
        Ended::Faulted | Ended::Closed | Ended::Reset => meter.fault(),
    }
    Ok(ended)
}

async fn respond(conn: &mut Conn, answer: &Answer, streamed: bool, meter: &Meter<'_>) -> Result<Ended, Gone> {
    conn.pause(answer.behaviour.delay).await?;
    let streamed = streamed && answer.behaviour.fault != Some(Fault::JsonInsteadOfSse);
    if let Some(ended) = faults::instead(conn, answer, streamed, meter).await {
        return ended;
    }
    if streamed { stream::send(conn, answer, meter).await } else { plain::send(conn, answer, meter).await }
}

fn behaviour(shared: &Shared, model: &str, header: Option<&str>) -> Result<Behaviour, UnknownBehaviour> {
    let mut behaviour = shared.controls().behaviour;
    let words = model.strip_prefix("sim/").or_else(|| model.split_once("/sim/").map(|(_, words)| words));
    if let Some(words) = words
        && !PRICED_MODELS.contains(&words)
    {
        behaviour = behaviour.and(words)?;
    }
    header.map_or(Ok(behaviour), |words| behaviour.and(words))
}

async fn reject(conn: &mut Conn, shared: &Shared, meter: Meter<'_>, status: u16, message: &str) -> Result<Ended, Gone> {
    meter.reject();
    let (content_type, body) = shared.controls().format.error(status, message);
    reply::put(&mut conn.out, status, content_type, &[], &body);
    conn.flush().await.map(|()| Ended::Finished)
}
