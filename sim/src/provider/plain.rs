//! Plain answers: one JSON body, or as much of it as the behaviour lets through.

use super::Ended;
use super::answer::Answer;
use super::behaviour::{Behaviour, Fault};
use super::body::{Body, Framing};
use super::http::{Conn, Gone};
use super::reply;
use super::stats::Meter;
use std::time::Duration;

pub(super) async fn send(conn: &mut Conn, answer: &Answer, meter: &Meter<'_>) -> Result<Ended, Gone> {
    let behaviour = &answer.behaviour;
    conn.pause(total_token_delay(answer)).await?;
    let mut json = answer.plain();
    meter.prompt(answer.prompt_tokens);
    if behaviour.framing.bom {
        json.insert(0, '\u{feff}');
    }
    if let Some(fault) = behaviour.fault
        && let Some(ended) = cut_short(conn, answer, fault, json.as_bytes(), meter).await
    {
        return ended;
    }
    let headers = [("x-generation-id", answer.id.as_str())];
    if !touches_bytes(behaviour) {
        reply::put(&mut conn.out, 200, reply::JSON, &headers, json.as_bytes());
        conn.flush().await?;
        meter.sent(answer.completion_tokens());
        return Ok(Ended::Finished);
    }
    reply::put_head(&mut conn.out, 200, reply::JSON, &headers, Some(json.len()));
    let mut body = Body::new(conn, Framing::Length, behaviour, meter);
    body.push(json.as_bytes());
    body.count(answer.completion_tokens());
    body.end().await?;
    Ok(Ended::Finished)
}

/// The faults that let half of the body through, or another one; `None` for all others.
async fn cut_short(
    conn: &mut Conn,
    answer: &Answer,
    fault: Fault,
    json: &[u8],
    meter: &Meter<'_>,
) -> Option<Result<Ended, Gone>> {
    let half = json.get(..json.len() / 2).unwrap_or(json);
    let headers = [("x-generation-id", answer.id.as_str())];
    let announced = match fault {
        Fault::EofAfter(_) | Fault::HalfEventThenEof => half.len(),
        Fault::StallAfter(_) | Fault::CutAfter(_) | Fault::ResetAfter(_) => json.len(),
        Fault::BadJson => {
            let body = br#"{"id":"gen-sim","choices":[{"index":0,"message":{"role":"assistant","content":NaN,}"#;
            reply::put(&mut conn.out, 200, reply::JSON, &headers, body);
            return Some(conn.flush().await.map(|()| Ended::Faulted));
        }
        Fault::ErrorIn200(_) => {
            let body = reply::error_body(502, "The provider broke off");
            reply::put(&mut conn.out, 200, reply::JSON, &headers, &body);
            return Some(conn.flush().await.map(|()| Ended::Faulted));
        }
        Fault::Endless => return Some(Err(endless(conn, answer, json, meter).await)),
        _ => return None,
    };
    reply::put_head(&mut conn.out, 200, reply::JSON, &headers, Some(announced));
    let mut body = Body::new(conn, Framing::Length, &answer.behaviour, meter);
    body.push(half);
    Some(match fault {
        Fault::StallAfter(_) => Err(body.silence().await),
        Fault::CutAfter(_) => body.end().await.map(|()| Ended::Closed),
        Fault::ResetAfter(_) => body.end().await.map(|()| Ended::Reset),
        _ => body.end().await.map(|()| Ended::Faulted),
    })
}

/// Says tokens in one JSON string until the client goes.
async fn endless(conn: &mut Conn, answer: &Answer, json: &[u8], meter: &Meter<'_>) -> Gone {
    reply::put_head(&mut conn.out, 200, reply::JSON, &[reply::CHUNKED], None);
    let mut body = Body::new(conn, Framing::Chunked, &answer.behaviour, meter);
    let (before, _) = around_content(json);
    body.push(before);
    for index in 0.. {
        body.push(answer.token(index).as_bytes());
        body.count(1);
        let gone = match body.pause(answer.behaviour.token_delay).await {
            Ok(()) => body.flush_if_full().await,
            gone => gone,
        };
        if let Err(gone) = gone {
            return gone;
        }
    }
    Gone
}

/// The body's bytes before and after where its content stands.
pub(super) fn around_content(json: &[u8]) -> (&[u8], &[u8]) {
    let key = br#""content":""#;
    let at = memchr::memmem::find(json, key).map_or(0, |at| at + key.len());
    json.split_at(at)
}

fn touches_bytes(behaviour: &Behaviour) -> bool {
    behaviour.byte_delay.is_some() || behaviour.framing.split_utf8 || behaviour.fault == Some(Fault::BadUtf8)
}

fn total_token_delay(answer: &Answer) -> Duration {
    answer.behaviour.token_delay.saturating_mul(u32::try_from(answer.tokens).unwrap_or(u32::MAX))
}
