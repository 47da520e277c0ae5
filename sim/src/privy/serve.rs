//! What the stand-in answers over HTTP.

use super::Shared;
use crate::provider::http::{Conn, Gone, Method, Request};
use crate::provider::reply;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// After a failed accept (out of file descriptors, say) the next one waits.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(10);

/// How the set of keys is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum KeySetAnswer {
    #[default]
    #[serde(rename = "ok")]
    Served,
    #[serde(rename = "500")]
    Failing,
    #[serde(rename = "hang")]
    Hanging,
    /// Cut JSON under status 200.
    #[serde(rename = "garbage")]
    Garbage,
    /// To a place where a set of someone else's keys could be.
    #[serde(rename = "redirect")]
    Redirecting,
    /// A set of more bytes than anybody should read.
    #[serde(rename = "endless")]
    Endless,
}

#[derive(Deserialize)]
struct Wanted {
    did: String,
    now: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    keys: KeySetAnswer,
}

/// Owns the connections: when this task is aborted, so are they.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(Conn::new(stream), Arc::clone(&shared)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_BACK_OFF).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut conn: Conn, shared: Arc<Shared>) {
    // What is no request, and who has gone, ends the connection.
    while let Ok(request) = conn.read_request().await {
        if answer(&mut conn, &shared, &request).await.is_err() || !request.keep_alive {
            return;
        }
    }
}

async fn answer(conn: &mut Conn, shared: &Shared, request: &Request) -> Result<(), Gone> {
    let path = request.target.split('?').next().unwrap_or_default();
    let answered = match (request.method, path) {
        (Method::Get, path) if path.ends_with("/jwks.json") => return key_set(conn, shared).await,
        (Method::Post, "/sim/privy/token") => {
            wanted(&request.body).map(|wanted| json!({"token": shared.token(&wanted.did, wanted.now)}))
        }
        (Method::Post, "/sim/privy/attacks") => {
            wanted(&request.body).map(|wanted| json!(shared.attacks(&wanted.did, wanted.now)))
        }
        (Method::Post, "/sim/privy/rotate") => shared.rotate().map(|()| json!({})).map_err(|error| error.to_string()),
        (Method::Post, "/sim/privy/control") => control(shared, &request.body),
        (Method::Get, "/sim/privy/stats") => Ok(json!({"key_sets": shared.key_sets.load(Ordering::SeqCst)})),
        _ => {
            reply::put(&mut conn.out, 404, reply::JSON, &[], &reply::error_body(404, "No such path"));
            return conn.flush().await;
        }
    };
    match answered {
        Ok(body) => reply::put(&mut conn.out, 200, reply::JSON, &[], body.to_string().as_bytes()),
        Err(message) => reply::put(&mut conn.out, 400, reply::JSON, &[], &reply::error_body(400, &message)),
    }
    conn.flush().await
}

fn wanted(body: &[u8]) -> Result<Wanted, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn control(shared: &Shared, body: &[u8]) -> Result<Value, String> {
    let change: Change = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    *shared.answer.write().unwrap_or_else(PoisonError::into_inner) = change.keys;
    Ok(json!({}))
}

async fn key_set(conn: &mut Conn, shared: &Shared) -> Result<(), Gone> {
    const ENDLESS_BYTES: usize = 4 << 20;
    shared.key_sets.fetch_add(1, Ordering::SeqCst);
    let mode = *shared.answer.read().unwrap_or_else(PoisonError::into_inner);
    let set = shared.key_set().to_string();
    match mode {
        KeySetAnswer::Served => reply::put(&mut conn.out, 200, reply::JSON, &[], set.as_bytes()),
        KeySetAnswer::Failing => reply::put(&mut conn.out, 500, reply::JSON, &[], &reply::error_body(500, "Told to fail")),
        KeySetAnswer::Hanging => return Err(conn.until_gone().await),
        KeySetAnswer::Garbage => reply::put(&mut conn.out, 200, reply::JSON, &[], br#"{"keys":[{"kty":"EC","#),
        KeySetAnswer::Redirecting => {
            let elsewhere = [("location", "/elsewhere/jwks.json")];
            reply::put(&mut conn.out, 307, reply::JSON, &elsewhere, b"{}");
        }
        KeySetAnswer::Endless => {
            let padded = format!("{}{set}", " ".repeat(ENDLESS_BYTES));
            reply::put(&mut conn.out, 200, reply::JSON, &[], padded.as_bytes());
        }
    }
    conn.flush().await
}
