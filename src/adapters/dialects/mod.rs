//! What is a gateway's own, beside OpenAI's wire format: where its key stands, which headers it wants, how it lists its models.
//! One file for each gateway that differs.

mod openrouter;
mod plain;

#[cfg(test)]
mod openrouter_tests;

use super::{AdapterError, GatewaySettings};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use tollgate_actors::ports::{CatalogModel, GatewayError};
use tollgate_domain::GatewayId;

/// One gateway's ways.
pub(super) struct Dialect {
    pub id: GatewayId,
    pub key: KeyPlace,
    /// Further headers of every request.
    pub headers: fn(&GatewaySettings) -> Result<HeaderMap, AdapterError>,
    /// Its list in our form, without what can't be asked for a chat.
    pub models: fn(&[Value]) -> Vec<CatalogModel>,
}

/// The header in which a gateway wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyPlace {
    /// `Authorization: Bearer`.
    Bearer,
    /// A header of that name, the bare key in it.
    Header(&'static str),
}

impl Dialect {
    /// The gateway's; `None` for one that speaks another language altogether.
    pub fn of(id: GatewayId) -> Option<Self> {
        Some(match id {
            GatewayId::OpenRouter => openrouter::DIALECT,
            GatewayId::Portkey => Self { key: KeyPlace::Header("x-portkey-api-key"), ..plain::dialect(id, plain::portkey) },
            GatewayId::Featherless => plain::dialect(id, plain::featherless),
            GatewayId::Chutes => plain::dialect(id, plain::chutes),
            GatewayId::Glama => plain::dialect(id, plain::glama),
            GatewayId::Requesty => plain::dialect(id, plain::requesty),
            GatewayId::Aiml => plain::dialect(id, plain::aiml),
            GatewayId::A4f => plain::dialect(id, plain::a4f),
            GatewayId::OpenAi => plain::dialect(id, plain::openai),
            GatewayId::Anthropic => return None,
        })
    }

    /// Reads the body of `GET models`: a bare array, or an object with `data`. An entry without an id is no model and is
    /// left out.
    pub fn read(&self, body: &[u8]) -> Result<Vec<CatalogModel>, GatewayError> {
        let list: List =
            serde_json::from_slice(body).map_err(|error| GatewayError::Malformed(format!("the list of models: {error}")))?;
        let (List::Bare(entries) | List::Wrapped { data: entries }) = list;
        let models = (self.models)(&entries);
        if models.len() < entries.len() {
            tracing::info!(gateway = %self.id, left_out = entries.len() - models.len(), "entries that are no chat models");
        }
        Ok(models)
    }
}

impl KeyPlace {
    /// The key's header, marked as a secret.
    pub fn header(self, settings: &GatewaySettings) -> Result<(HeaderName, HeaderValue), AdapterError> {
        let key = settings.api_key.expose_secret();
        let (name, value) = match self {
            Self::Bearer => (AUTHORIZATION, format!("Bearer {key}")),
            Self::Header(name) => (HeaderName::from_static(name), key.to_owned()),
        };
        let wrong = |_| AdapterError::Setting { what: "API key", reason: "a character that can't stand in a header".to_owned() };
        let mut value = HeaderValue::try_from(value).map_err(wrong)?;
        value.set_sensitive(true);
        Ok((name, value))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum List {
    Bare(Vec<Value>),
    Wrapped { data: Vec<Value> },
}

/// Longer ids are nobody's; they are keys of maps and of records.
const ID_BYTES_MAX: usize = 256;

/// The entry's id, if it can be one.
fn id_of(entry: &Value) -> Option<&str> {
    let is_id = |id: &&str| !id.trim().is_empty() && id.len() <= ID_BYTES_MAX && !id.chars().any(char::is_control);
    entry.get("id")?.as_str().filter(is_id)
}

/// No headers but those of all.
fn no_headers(_: &GatewaySettings) -> Result<HeaderMap, AdapterError> {
    Ok(HeaderMap::new())
}
