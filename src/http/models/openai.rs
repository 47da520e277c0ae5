//! The catalogue as OpenAI's and OpenRouter's clients know it: `/v1/models` and what is below it.

use super::answer::{self, Document};
use super::body::{Form, Part, entries};
use super::query::no_list;
use super::schema::{Endpoint, EndpointList, EndpointsResponse, ModelCount, ModelCountResponse, ModelObject, ModelObjectList};
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::startup::Services;
use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tollgate_actors::catalog::{CatalogEntry, CatalogSnapshot, runs};

/// All models, in OpenAI's form
///
/// Each id once, as the gateway describes it that is tried first; beside OpenAI's fields stand OpenRouter's.
#[utoipa::path(
    tag = "models",
    security(()),
    responses(
        (status = 200, description = "The models", body = ModelObjectList),
        (status = 304, description = "The list still is the one of `If-None-Match`"),
        (status = 503, description = "No gateway is on, or none has answered yet"),
    )
)]
#[get("/v1/models")]
pub async fn v1_models(request: HttpRequest, services: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    let snapshot = services.actors.catalog.snapshot();
    let runs = services.models.callable(&snapshot);
    if runs.is_empty() {
        return Err(no_list());
    }
    let mut parts = vec![Part::Text(Bytes::from_static(br#"{"object":"list","data":["#))];
    parts.extend(entries(&runs));
    parts.push(Part::Text(Bytes::from_static(b"]}")));
    let document = Document::new(parts, Form::OpenAi, &snapshot, &request);
    Ok(answer::answer(&request, &services, snapshot, document).await)
}

/// How many models there are
#[utoipa::path(
    tag = "models",
    security(()),
    responses(
        (status = 200, description = "The count", body = ModelCountResponse),
        (status = 304, description = "The lists still are those of `If-None-Match`"),
        (status = 503, description = "No gateway is on, or none has answered yet"),
    )
)]
#[get("/v1/models/count")]
pub async fn v1_model_count(request: HttpRequest, services: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    let snapshot = services.actors.catalog.snapshot();
    let count = services.models.callable(&snapshot).iter().map(|run| run.places.len()).sum();
    if count == 0 {
        return Err(no_list());
    }
    let body = ModelCountResponse { data: ModelCount { count } };
    let document = Document::of_json(&body, &snapshot, &request)?;
    Ok(answer::answer(&request, &services, snapshot, document).await)
}

/// One model, in OpenAI's form
#[utoipa::path(
    tag = "models",
    security(()),
    params(("model" = String, Path, description = "The model's id, slashes and all")),
    responses(
        (status = 200, description = "The model", body = ModelObject),
        (status = 304, description = "The model still is the one of `If-None-Match`"),
        (status = 404, description = "No gateway has it"),
    )
)]
#[get("/v1/models/{model:.+}")]
pub async fn v1_model(
    request: HttpRequest,
    model: Path<String>,
    services: web::Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let snapshot = services.actors.catalog.snapshot();
    let entry = snapshot.find(&model.0).ok_or_else(|| unknown(&model.0))?;
    let document = Document::new(entries(&runs([&**entry])), Form::OpenAi, &snapshot, &request);
    Ok(answer::answer(&request, &services, snapshot, document).await)
}

/// Where a model can be called, and what it costs there
///
/// In OpenRouter's form. The endpoints are the gateways, in the order in which they are tried; `tag` is what a completion's
/// `provider` names, `pricing` is what is charged.
#[utoipa::path(
    tag = "models",
    security(()),
    params(("model" = String, Path, description = "The model's id, slashes and all", example = "openai/gpt-4o")),
    responses(
        (status = 200, description = "The endpoints", body = EndpointsResponse),
        (status = 304, description = "They still are those of `If-None-Match`"),
        (status = 404, description = "No gateway has the model"),
    )
)]
#[get("/v1/models/{model:.+}/endpoints")]
pub async fn v1_model_endpoints(
    request: HttpRequest,
    model: Path<String>,
    services: web::Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let snapshot = services.actors.catalog.snapshot();
    let entry = snapshot.find(&model.0).ok_or_else(|| unknown(&model.0))?;
    let shown = Shown::of(entry, &snapshot)?;
    let endpoints = snapshot.candidates(&model.0).iter().map(|entry| endpoint(entry, &snapshot)).collect::<Result<_, _>>()?;
    let data = EndpointList {
        id: entry.id.to_string(),
        name: shown.name,
        created: entry.created.unwrap_or(0),
        description: shown.description.unwrap_or_default(),
        architecture: shown.architecture.unwrap_or_default(),
        endpoints,
    };
    let document = Document::of_json(&EndpointsResponse { data }, &snapshot, &request)?;
    Ok(answer::answer(&request, &services, snapshot, document).await)
}

fn unknown(model: &str) -> ApiError {
    let error = ApiError::not_found(format!("The model '{model}' does not exist"));
    error.with_code("model_not_found").with_param("model")
}

/// What the catalogue shows of an entry, as far as an endpoint wants it.
#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    name: String,
    description: Option<String>,
    architecture: Option<Map<String, Value>>,
    #[serde(default)]
    supported_parameters: Vec<Value>,
    charged_pricing: Box<RawValue>,
}

impl Shown {
    fn of(entry: &CatalogEntry, snapshot: &CatalogSnapshot) -> Result<Self, ApiError> {
        serde_json::from_slice(&snapshot.text_of(entry)).map_err(|error| ApiError::internal(&error))
    }
}

fn endpoint(entry: &CatalogEntry, snapshot: &CatalogSnapshot) -> Result<Endpoint, ApiError> {
    let shown = Shown::of(entry, snapshot)?;
    let gateway = entry.gateway.as_str();
    Ok(Endpoint {
        name: format!("{gateway} | {}", entry.id),
        model_id: entry.id.to_string(),
        model_name: shown.name,
        context_length: entry.context_length,
        pricing: serde_json::from_str(shown.charged_pricing.get()).map_err(|error| ApiError::internal(&error))?,
        provider_name: gateway.to_owned(),
        tag: gateway.to_owned(),
        quantization: None,
        max_completion_tokens: entry.max_completion_tokens,
        max_prompt_tokens: None,
        supported_parameters: shown.supported_parameters,
        status: 0,
        uptime_last_30m: None,
        supports_implicit_caching: false,
    })
}
