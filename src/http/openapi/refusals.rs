//! What every door may answer instead of what was asked for: described once, not at each handler.

use crate::http::error::{Envelope, FieldError};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// A refusal under `/v1`
#[derive(Serialize, ToSchema)]
pub struct OpenAiRefusal {
    error: OpenAiError,
    /// The same text as `error.message`.
    detail: String,
    /// With a 5xx: finds the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// OpenAI's error object
#[derive(Serialize, ToSchema)]
struct OpenAiError {
    message: String,
    #[serde(rename = "type")]
    kind: String,
    #[schema(required)]
    param: Option<String>,
    code: String,
}

/// A refusal under `/api`
#[derive(Serialize, ToSchema)]
pub struct ApiRefusal {
    /// In capitals.
    error: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// A refusal everywhere else
#[derive(Serialize, ToSchema)]
pub struct DetailRefusal {
    detail: Detail,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// A text, or for a wrong shape each wrong field
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "described only: refusals are rendered in error/envelope.rs")]
enum Detail {
    Text(String),
    Fields(Vec<FieldError>),
}

/// Of any door: the frame, the queues before it, a defect behind it.
const OF_ALL: [(&str, &str); 4] = [
    ("400", "A wrong request"),
    ("429", "A limit is reached"),
    ("500", "A defect of the server; nothing was charged"),
    ("503", "Not available for now; nothing was charged"),
];
/// Of a door that reads a body.
const OF_BODIES: [(&str, &str); 4] = [
    ("408", "The body did not arrive in time"),
    ("413", "The body is too large"),
    ("415", "The body is not plain JSON"),
    ("422", "The request has a wrong shape"),
];
/// Of a door whose path or query has parameters.
const OF_PARAMETERS: [(&str, &str); 1] = [("422", "The request has a wrong shape")];

/// Adds to each operation the refusals that it does not name itself, and to each refusal the schema of its envelope.
pub fn complete(document: &mut Value) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for (path, item) in paths {
        let envelope = Envelope::of(path);
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            complete_operation(operation, envelope);
        }
    }
}

fn complete_operation(operation: &mut Value, envelope: Envelope) {
    let (has_body, has_parameters) = (operation.get("requestBody").is_some(), operation.get("parameters").is_some());
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let of_bodies = OF_BODIES.iter().filter(|_| has_body);
    let of_parameters = OF_PARAMETERS.iter().filter(|_| has_parameters);
    for (status, description) in OF_ALL.iter().chain(of_bodies).chain(of_parameters) {
        responses.entry(*status).or_insert_with(|| json!({"description": description}));
    }
    for (status, response) in responses {
        if let (true, Some(response)) = (status.as_str() >= "400", response.as_object_mut()) {
            response.entry("content").or_insert_with(|| content(envelope));
        }
    }
}

fn content(envelope: Envelope) -> Value {
    let name = match envelope {
        Envelope::OpenAi => "OpenAiRefusal",
        Envelope::Api => "ApiRefusal",
        Envelope::Detail => "DetailRefusal",
    };
    json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{name}")}}})
}
