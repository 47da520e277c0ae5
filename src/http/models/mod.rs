//! `GET /models` and `/catalog/models` for the web clients, `GET /v1/models` for OpenAI's: what can be called, and its price.
//!
//! Ids hold slashes. No key is asked for. Whole lists are rendered once per catalogue and worker, with an `ETag`.

mod page;
mod query;
mod schema;
mod shelf;

#[cfg(test)]
mod tests;

use super::error::ApiError;
use super::extract::{Path, Query};
use crate::startup::Services;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, get, web};
use query::{Choice, ModelsQuery};
use shelf::{Page, Rendered};
use std::time::Duration;
use tollgate_actors::catalog::CatalogSnapshot;

pub use schema::{ModelObject, ModelObjectList, ModelsPage, PublicModel};
pub use shelf::Shelf;

/// When a list that is missing may be there: gateways are asked again after some seconds.
const RETRY_LIST: Duration = Duration::from_secs(5);

/// All models, with prices in dollars per token as decimal strings
///
/// Without `gateway` the list stands in `models` and in `data`, with it in `data` only. `charged_pricing` is what a call
/// costs, also where `pricing` is unknown (null).
#[utoipa::path(
    tag = "models",
    security(()),
    params(ModelsQuery),
    responses(
        (status = 200, description = "The models", body = ModelsPage),
        (status = 304, description = "The list still is the one of `If-None-Match`"),
        (status = 400, description = "No such gateway"),
        (status = 422, description = "A query of a wrong shape"),
        (status = 503, description = "The gateway is off, or has not answered yet"),
    )
)]
#[get("/models")]
pub async fn models(
    request: HttpRequest,
    query: Query<ModelsQuery>,
    services: web::Data<Services>,
    shelf: web::Data<Shelf>,
) -> Result<HttpResponse, ApiError> {
    list(&request, &query.0, &services.actors.catalog.snapshot(), &shelf)
}

/// The same as `/models`
#[utoipa::path(
    tag = "models",
    security(()),
    params(ModelsQuery),
    responses(
        (status = 200, description = "The models", body = ModelsPage),
        (status = 304, description = "The list still is the one of `If-None-Match`"),
        (status = 400, description = "No such gateway"),
        (status = 422, description = "A query of a wrong shape"),
        (status = 503, description = "The gateway is off, or has not answered yet"),
    )
)]
#[get("/catalog/models")]
pub async fn catalog_models(
    request: HttpRequest,
    query: Query<ModelsQuery>,
    services: web::Data<Services>,
    shelf: web::Data<Shelf>,
) -> Result<HttpResponse, ApiError> {
    list(&request, &query.0, &services.actors.catalog.snapshot(), &shelf)
}

/// All models, in OpenAI's form
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
pub async fn v1_models(
    request: HttpRequest,
    services: web::Data<Services>,
    shelf: web::Data<Shelf>,
) -> Result<HttpResponse, ApiError> {
    let snapshot = services.actors.catalog.snapshot();
    if snapshot.merged().is_empty() {
        return Err(no_list());
    }
    let rendered = shelf.get(&snapshot, Page::OpenAi, || page::openai_list(&snapshot));
    Ok(unless_known(&request, &rendered))
}

/// One model, in OpenAI's form
#[utoipa::path(
    tag = "models",
    security(()),
    params(("model" = String, Path, description = "The model's id, slashes and all")),
    responses(
        (status = 200, description = "The model", body = ModelObject),
        (status = 404, description = "No gateway has it"),
    )
)]
#[get("/v1/models/{model:.+}")]
pub async fn v1_model(model: Path<String>, services: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    let snapshot = services.actors.catalog.snapshot();
    let Some(entry) = snapshot.find(&model.0) else {
        let error = ApiError::not_found(format!("The model '{}' does not exist", model.0));
        return Err(error.with_code("model_not_found").with_param("model"));
    };
    let mut body = String::new();
    page::write_openai(entry, &mut body);
    Ok(json(body.into()))
}

fn list(request: &HttpRequest, query: &ModelsQuery, snapshot: &CatalogSnapshot, shelf: &Shelf) -> Result<HttpResponse, ApiError> {
    let choice = query.choice()?;
    let entries = match choice {
        Choice::All => snapshot.merged(),
        Choice::One(gateway) => snapshot.list(gateway).map_or(&[][..], |list| &list.entries),
    };
    if entries.is_empty() {
        return Err(no_list());
    }
    let twice = query.gateway.is_none();
    if query.is_whole() {
        let render = || page::whole(choice, twice, entries, snapshot);
        return Ok(unless_known(request, &shelf.get(snapshot, Page::List { choice, twice }, render)));
    }
    Ok(json(page::part(choice, twice, entries, query, snapshot).into()))
}

fn no_list() -> ApiError {
    ApiError::unavailable(RETRY_LIST).with_message("Models data unavailable")
}

fn json(body: web::Bytes) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).insert_header((CACHE_CONTROL, "no-cache")).body(body)
}

/// The list, or 304 for who has it.
fn unless_known(request: &HttpRequest, rendered: &Rendered) -> HttpResponse {
    let known = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|tags| tags.split(',')).map(str::trim);
    // Mutant: `==` with the whole weak tag fails for caches that send the tag without `W/`.
    if tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == rendered.tag) {
        return HttpResponse::NotModified().insert_header((ETAG, rendered.etag())).finish();
    }
    let mut response = json(rendered.body.clone());
    if let Ok(etag) = rendered.etag().parse() {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}
