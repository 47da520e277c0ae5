//! `/sim/…`: what a test in another process looks at and turns. Tests in this process have [`super::Provider`]'s methods.
//!
//! | request | answer |
//! |---|---|
//! | `GET /sim/stats` | [`super::Stats`] |
//! | `GET /sim/requests?last=N` | the last N (at most 1,000) chat completions, oldest first: [`super::RecordedRequest`] |
//! | `POST /sim/control` | sets what its body names: `{"models": "ok" or "500" or "hang" or "garbage", "models_body": {…} or null, "default_behaviour": "delay:50", "list_format": "glama"}` |
//! | `POST /sim/reset` | counts, log and settings as at the start |

use super::behaviour::Behaviour;
use super::format::GatewayFormat;
use super::http::{Conn, Gone, Method, Request};
use super::{Ended, Shared, reply};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// How the list of models is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ModelList {
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
}

/// What holds for all requests until it is turned.
#[derive(Clone, Debug, Default)]
pub(super) struct Controls {
    pub behaviour: Behaviour,
    pub models: ModelList,
    /// In the place of the catalogue's list.
    pub models_body: Option<Bytes>,
    pub format: GatewayFormat,
}

impl Controls {
    pub fn of(format: GatewayFormat) -> Self {
        Self { format, ..Self::default() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    models: Option<ModelList>,
    #[serde(default, deserialize_with = "given")]
    models_body: Option<Value>,
    default_behaviour: Option<String>,
    list_format: Option<GatewayFormat>,
}

/// Tells a `null` from an absent field.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

pub(super) async fn answer(conn: &mut Conn, shared: &Shared, request: &Request, path: &str) -> Result<Ended, Gone> {
    match (request.method, path) {
        (Method::Get, "/sim/stats") => put_json(conn, &shared.counters.snapshot()),
        (Method::Get, "/sim/requests") => put_json(conn, &shared.counters.last(last(&request.target))),
        (Method::Post, "/sim/control") => match change(shared, &request.body) {
            Ok(()) => reply::put(&mut conn.out, 200, reply::JSON, &[], b"{}"),
            Err(message) => reply::put(&mut conn.out, 400, reply::JSON, &[], &reply::error_body(400, &message)),
        },
        (Method::Post, "/sim/reset") => {
            shared.counters.reset();
            shared.turn(|controls| *controls = Controls::of(shared.format));
            reply::put(&mut conn.out, 200, reply::JSON, &[], b"{}");
        }
        _ => reply::put(&mut conn.out, 404, reply::JSON, &[], &reply::error_body(404, "No such control")),
    }
    conn.flush().await.map(|()| Ended::Finished)
}

fn put_json<T: Serialize>(conn: &mut Conn, value: &T) {
    match serde_json::to_vec(value) {
        Ok(body) => reply::put(&mut conn.out, 200, reply::JSON, &[], &body),
        Err(error) => reply::put(&mut conn.out, 500, reply::JSON, &[], &reply::error_body(500, &error.to_string())),
    }
}

fn last(target: &str) -> usize {
    let (_, query) = target.split_once('?').unwrap_or_default();
    query.split('&').find_map(|pair| pair.strip_prefix("last=")?.parse().ok()).unwrap_or(100)
}

/// All of the change, or none when a part of it makes no sense.
fn change(shared: &Shared, body: &[u8]) -> Result<(), String> {
    let change: Change = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let behaviour = change.default_behaviour.as_deref().map(Behaviour::parse).transpose();
    let behaviour = behaviour.map_err(|unknown| unknown.to_string())?;
    let list = change.list_format.map(|format| (format, shared.catalogue.list_as(format)));
    shared.turn(|controls| {
        if let Some((format, list)) = list {
            (controls.format, controls.models_body) = (format, Some(list));
        }
        controls.models = change.models.unwrap_or(controls.models);
        controls.behaviour = behaviour.unwrap_or(controls.behaviour);
        match &change.models_body {
            Some(Value::Null) => controls.models_body = None,
            Some(body) => controls.models_body = Some(Bytes::from(body.to_string())),
            None => {}
        }
    });
    Ok(())
}
