//! serde's complaints in FastAPI's words.

use crate::http::error::FieldError;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use std::borrow::Cow;

/// Longer input is not sent back.
const INPUT_BYTES_MAX: usize = 512;

/// The wrong field that serde's text is about. `place` is `body` or `query`; `sent` is what the whole of it was.
pub(super) fn field(place: &str, path: &Path, text: &str, sent: &Value) -> FieldError {
    let mut loc = vec![Value::from(place)];
    let mut input = Some(sent);
    for step in path.iter().filter_map(step) {
        input = input.and_then(|value| inside(value, &step));
        loc.push(step);
    }
    let missing = between(text, "missing field `", "`");
    if let Some(name) = missing {
        loc.push(name.into());
    }
    let msg = if missing.is_some() { "Field required".to_owned() } else { sentence(text) };
    FieldError { kind: kind(text), loc, msg, input: shortened(input) }
}

fn step(segment: &Segment) -> Option<Value> {
    match segment {
        Segment::Seq { index } => Some((*index).into()),
        Segment::Map { key } => Some(key.as_str().into()),
        // Rust's names of variants are of no use to a caller.
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

fn inside<'a>(value: &'a Value, step: &Value) -> Option<&'a Value> {
    match step {
        Value::String(key) => value.get(key.as_str()),
        step => value.get(usize::try_from(step.as_u64()?).ok()?),
    }
}

/// FastAPI's name for the kind of mistake.
fn kind(text: &str) -> Cow<'static, str> {
    const KINDS: [(&str, &str); 10] = [
        ("missing field", "missing"),
        ("unknown field", "extra_forbidden"),
        ("unknown variant", "enum"),
        ("invalid digit", "int_parsing"),
        ("expected a string", "string_type"),
        ("expected a boolean", "bool_type"),
        ("expected a sequence", "list_type"),
        ("expected a map", "dict_type"),
        ("expected f", "float_type"),
        ("expected struct", "model_type"),
    ];
    let found = KINDS.iter().find(|(words, _)| text.contains(words)).map(|(_, kind)| *kind);
    let is_integer = ["expected i", "expected u"].iter().any(|words| text.contains(words));
    found.or(is_integer.then_some("int_type")).unwrap_or("value_error").into()
}

/// serde says `expected struct NewUser with 3 elements`, which names our insides.
fn sentence(text: &str) -> String {
    match text.split_once(", expected struct") {
        Some((before, _)) => format!("{before}, expected an object"),
        None => text.to_owned(),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inner, _)| inner)
}

fn shortened(input: Option<&Value>) -> Value {
    let Some(input) = input else { return Value::Null };
    if input.to_string().len() > INPUT_BYTES_MAX { Value::Null } else { input.clone() }
}
