//! The body's top level: where each member begins and ends. One pass over the text, no tree.

use super::rules;
use crate::http::error::ApiError;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Nesting that no honest request has; deeper ones are made to hurt a parser.
const DEPTH_MAX: usize = 128;
/// Members of one body: a request has some forty parameters.
const MEMBERS_MAX: usize = 1_024;

/// The fields that must be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Model,
    Models,
    Messages,
    Tools,
    MaxTokens,
    MaxCompletionTokens,
    N,
    Stream,
    StreamOptions,
    Provider,
    Route,
    PortkeyProvider,
    PortkeyVirtualKey,
    SessionId,
    PrivyUserId,
    /// One of [`SETTINGS`].
    Setting,
    Other,
}

const NAMES: [(&str, Field); 15] = [
    ("model", Field::Model),
    ("models", Field::Models),
    ("messages", Field::Messages),
    ("tools", Field::Tools),
    ("max_tokens", Field::MaxTokens),
    ("max_completion_tokens", Field::MaxCompletionTokens),
    ("n", Field::N),
    ("stream", Field::Stream),
    ("stream_options", Field::StreamOptions),
    ("provider", Field::Provider),
    ("route", Field::Route),
    ("portkey_provider", Field::PortkeyProvider),
    ("portkey_virtual_key", Field::PortkeyVirtualKey),
    ("session_id", Field::SessionId),
    ("privy_user_id", Field::PrivyUserId),
];

/// Fields that may be long and that no model reads.
const SETTINGS: [&str; 4] = ["user", "metadata", "logit_bias", "stop"];

/// One member of the body, as offsets into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub field: Field,
    /// From the name's opening quote to the value's last byte.
    pub whole: Range<usize>,
    /// Where the value begins.
    pub value_at: usize,
    /// Said to us, not to the model: left out upstream, whichever gateway that is.
    pub ours: bool,
}

impl Member {
    /// The value as JSON text.
    pub fn text<'a>(&self, body: &'a [u8]) -> &'a str {
        let bytes = body.get(self.value_at..self.whole.end).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Finds the members of a JSON object.
///
/// A known field may stand there once, and in its own spelling only: an upstream that takes the last one, or ignores case,
/// would otherwise read another model or limit than the one that is paid for.
pub fn scan(body: &[u8]) -> Result<Vec<Member>, ApiError> {
    let found = pairs(body).map_err(|error| rules::malformed(&error))?;
    let start = body.as_ptr().addr();
    let place = |raw: &RawValue| raw.get().as_ptr().addr() - start;
    let mut members = Vec::with_capacity(found.len());
    for (name, value) in found {
        let (name_at, value_at) = (place(name), place(value));
        let field = field(name)?;
        if !matches!(field, Field::Other | Field::Setting) && members.iter().any(|earlier: &Member| earlier.field == field) {
            return Err(rules::invalid(name_of(field), "is given twice"));
        }
        let ours = matches!(
            field,
            Field::Models | Field::Route | Field::PortkeyProvider | Field::PortkeyVirtualKey | Field::PrivyUserId
        );
        members.push(Member { field, whole: name_at..value_at + value.get().len(), value_at, ours });
    }
    check_depth(body)?;
    Ok(members)
}

/// The names and values of a JSON object as they stand there.
pub fn pairs(object: &[u8]) -> Result<Vec<(&RawValue, &RawValue)>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(object);
    let found = deserializer.deserialize_map(Members)?;
    deserializer.end()?;
    Ok(found)
}

pub fn name_of(field: Field) -> &'static str {
    NAMES.iter().find(|(_, known)| *known == field).map_or("", |(name, _)| name)
}

fn field(raw_name: &RawValue) -> Result<Field, ApiError> {
    let quoted = raw_name.get();
    let plain = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let name: Cow<'_, str> = match plain.contains('\\') {
        true => serde_json::from_str::<String>(quoted).map_err(|error| rules::malformed(&error))?.into(),
        false => plain.into(),
    };
    match NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
        None if SETTINGS.contains(&&*name) => Ok(Field::Setting),
        None => Ok(Field::Other),
        Some((known, field)) if *known == name => Ok(*field),
        Some((known, _)) => Err(rules::invalid(known, format!("must be spelled so, not {name:?}"))),
    }
}

/// Few bodies have that many brackets at all; only those are looked at closely.
fn check_depth(body: &[u8]) -> Result<(), ApiError> {
    if memchr::memchr2_iter(b'[', b'{', body).nth(DEPTH_MAX).is_none() {
        return Ok(());
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(
                ApiError::bad_request(format!("The body is nested deeper than {DEPTH_MAX} levels")).with_code("invalid_json")
            );
        }
    }
    Ok(())
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(16);
        while let Some(member) = map.next_entry()? {
            if members.len() == MEMBERS_MAX {
                return Err(serde::de::Error::custom("too many fields"));
            }
            members.push(member);
        }
        Ok(members)
    }
}
