//! What is a gateway's own, beside OpenAI's wire format: where its key stands, which headers it wants, how it lists its models.
//! One file for each.

mod a4f;
mod aiml;
mod chutes;
mod featherless;
mod glama;
mod listed;
mod listing;
mod openai;
mod openrouter;
mod portkey;
mod requesty;

#[cfg(test)]
mod tests;

use super::{AdapterError, GatewaySettings};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use listed::Listed;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::ops::Range;
use tollgate_actors::ports::{CatalogModel, GatewayError};
use tollgate_domain::GatewayId;

/// One gateway's ways.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    pub id: GatewayId,
    pub key: KeyPlace,
    /// Further headers of every request.
    pub headers: fn(&GatewaySettings) -> Result<HeaderMap, AdapterError>,
    /// Where its list stands, relative to the base URL (that ends with a slash).
    pub list_path: fn(base: &str) -> &'static str,
    /// An entry of its list in our form; `None` for what can't be asked for a chat.
    pub model: fn(&Value) -> Option<CatalogModel>,
    /// What becomes of a model whose id an earlier one of the list has.
    pub again: fn(CatalogModel) -> CatalogModel,
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
            GatewayId::Portkey => portkey::DIALECT,
            GatewayId::Featherless => featherless::DIALECT,
            GatewayId::Chutes => chutes::DIALECT,
            GatewayId::Glama => glama::DIALECT,
            GatewayId::Requesty => requesty::DIALECT,
            GatewayId::Aiml => aiml::DIALECT,
            GatewayId::A4f => a4f::DIALECT,
            GatewayId::OpenAi => openai::DIALECT,
            GatewayId::Anthropic => return None,
        })
    }

    /// A gateway that differs in its list only.
    const fn listing(id: GatewayId, model: fn(&Value) -> Option<CatalogModel>) -> Self {
        Self {
            id,
            key: KeyPlace::Bearer,
            headers: |_| Ok(HeaderMap::new()),
            list_path: |_| "models",
            model,
            again: |model| model,
        }
    }

    /// Reads the body of the list: a bare array, or an object with `data`.
    ///
    /// # Errors
    /// `Malformed` for what is neither. An entry that is no model is left out.
    pub fn read(&self, body: Vec<u8>) -> Result<Listed, GatewayError> {
        let entries = entries(&body).map_err(|error| GatewayError::Malformed(format!("the list of models: {error}")))?;
        Ok(Listed::new(*self, body, entries))
    }
}

/// Where the entries stand in the body.
fn entries(body: &[u8]) -> serde_json::Result<Vec<Range<usize>>> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    let entries: Vec<&RawValue> = if body.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(body)?
    } else {
        serde_json::from_slice::<Wrapped<'_>>(body)?.data
    };
    let place = |entry: &&RawValue| {
        let start = entry.get().as_ptr().addr() - body.as_ptr().addr();
        start..start + entry.get().len()
    };
    Ok(entries.iter().map(place).collect())
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

/// Longer ids are nobody's; they are keys of maps and of records.
const ID_BYTES_MAX: usize = 256;

/// The entry's id, if it can be one.
fn id_of(entry: &Value) -> Option<&str> {
    text_id(entry, "id")
}

fn text_id<'a>(entry: &'a Value, field: &str) -> Option<&'a str> {
    let is_id = |id: &&str| !id.trim().is_empty() && id.len() <= ID_BYTES_MAX && !id.chars().any(char::is_control);
    entry.get(field)?.as_str().filter(is_id)
}

/// A count of tokens; `None` when it is unknown or none.
fn tokens(entry: &Value, field: &str) -> Option<i64> {
    entry.get(field)?.as_i64().filter(|tokens| *tokens > 0)
}
