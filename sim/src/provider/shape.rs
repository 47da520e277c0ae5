//! JSON made to fit a schema, and cut into tokens.

use serde_json::{Map, Value, json};

/// Deeper than any schema of a tool; recursive ones end here.
const DEPTH_MAX: u8 = 12;

/// The smallest plain value that fits a JSON Schema of the kind that tools and `response_format` carry.
pub(super) fn instance(schema: &Value) -> Value {
    fit(schema, schema, DEPTH_MAX)
}

fn fit(schema: &Value, root: &Value, depth: u8) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return Value::Null };
    if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|path| root.pointer(path.strip_prefix('#')?)) {
        return fit(target, root, depth);
    }
    if let Some(constant) = schema.get("const").or_else(|| schema.pointer("/enum/0")) {
        return constant.clone();
    }
    if let Some(variant) = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema.get(key)?.get(0)) {
        return fit(variant, root, depth);
    }
    let kind = schema.get("type").map(|kind| kind.get(0).unwrap_or(kind)).and_then(Value::as_str);
    match kind {
        Some("string") => json!("tok"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") if schema.get("minItems").is_none() => json!([]),
        Some("array") => json!([schema.get("items").map_or(Value::Null, |items| fit(items, root, depth))]),
        _ => Value::Object(properties(schema, root, depth)),
    }
}

fn properties(schema: &Value, root: &Value, depth: u8) -> Map<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(name, schema)| (name.clone(), fit(schema, root, depth))).collect()
}

/// Cuts a text into at most `count` pieces of about the same size (one, when no piece is allowed: a tool's arguments are
/// never lost).
pub(super) fn cut(text: &str, count: u64) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let count = usize::try_from(count).unwrap_or(usize::MAX).max(1);
    characters.chunks(characters.len().div_ceil(count).max(1)).map(|piece| piece.iter().collect()).collect()
}
