//! The catalogue's doors: what can be called, where, and at what price. No key is asked for.
//!
//! - `/models` and `/catalog/models`, `/models/providers`, `/catalog/provider`, `/model/…`, `/developer/…/models`: the web clients'.
//! - `/v1/models` and what is below it: OpenAI's, with OpenRouter's fields beside.
//!
//! Every answer is cut out of the catalogue's own text (`body`), so that a list of 22,000 models costs no copy of it. It has an
//! `ETag` and a time to live, and goes out under gzip where that is asked for (`gzip`). Ids hold slashes.

mod answer;
mod body;
mod etag;
mod gzip;
mod makers;
mod one;
mod openai;
mod page;
mod query;
mod schema;
mod shelf;

#[cfg(test)]
mod tests;

pub use makers::{__path_catalog_provider, __path_model_providers, catalog_provider, model_providers};
pub use one::{__path_developer_models, __path_one_model, developer_models, one_model};
pub use openai::{
    __path_v1_model, __path_v1_model_count, __path_v1_model_endpoints, __path_v1_models, v1_model, v1_model_count,
    v1_model_endpoints, v1_models,
};
pub use schema::{DeveloperPage, EndpointsResponse, ModelObject, ModelObjectList, ModelPage, ModelsPage, PublicModel};
pub use shelf::Shelf;

use super::error::ApiError;
use super::extract::Query;
use crate::startup::Services;
use actix_web::{HttpRequest, HttpResponse, get, web};
use answer::Document;
use body::{Form, Part};
pub(super) use query::no_list;
use query::{Choice, ModelsQuery};
use tollgate_actors::catalog::CatalogSnapshot;
use tollgate_domain::GatewayId;

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
) -> Result<HttpResponse, ApiError> {
    list(&request, &query.0, &services).await
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
) -> Result<HttpResponse, ApiError> {
    list(&request, &query.0, &services).await
}

async fn list(request: &HttpRequest, query: &ModelsQuery, services: &web::Data<Services>) -> Result<HttpResponse, ApiError> {
    let snapshot = services.actors.catalog.snapshot();
    let document = Document::new(parts(query, &snapshot)?, Form::Public, &snapshot, request);
    Ok(answer::answer(request, services, snapshot, document).await)
}

fn parts(query: &ModelsQuery, snapshot: &CatalogSnapshot) -> Result<Vec<Part>, ApiError> {
    let choice = Choice::of(query.gateway.as_deref(), Choice::One(GatewayId::OpenRouter))?;
    Ok(page::page(choice, query, choice.known_entries(snapshot)?, snapshot))
}
