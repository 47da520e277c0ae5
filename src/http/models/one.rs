//! `GET /model/{provider}/{model}` and `GET /developer/{name}/models`, for the web clients' pages.

use super::answer::{self, Document};
use super::body::{Form, Part, entries};
use super::page;
use super::query::{Choice, MakersQuery, PageQuery, Slice};
use super::schema::{DeveloperPage, ModelPage};
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::startup::Services;
use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use tollgate_actors::catalog::{CatalogEntry, runs};

/// One model
#[utoipa::path(
    tag = "models",
    security(()),
    params(
        ("provider" = String, Path, description = "The first part of the model's id", example = "openai"),
        ("model" = String, Path, description = "The rest of the id, slashes and all", example = "gpt-4o"),
        ("gateway" = Option<String>, Query, description = "A gateway's name or `all`, in any case; default `all`"),
    ),
    responses(
        (status = 200, description = "The model", body = ModelPage),
        (status = 304, description = "The model still is the one of `If-None-Match`"),
        (status = 400, description = "No such gateway"),
        (status = 404, description = "No gateway has it"),
        (status = 503, description = "The gateway is off, or has not answered yet"),
    )
)]
#[get("/model/{provider}/{model:.+}")]
pub async fn one_model(
    request: HttpRequest,
    path: Path<(String, String)>,
    query: Query<MakersQuery>,
    services: web::Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let snapshot = services.actors.catalog.snapshot();
    let choice = Choice::of(query.0.gateway.as_deref(), Choice::All)?;
    choice.known_entries(&snapshot)?;
    let (provider, name) = path.0;
    let at_choice = |entry: &&Arc<CatalogEntry>| choice == Choice::All || choice == Choice::One(entry.gateway);
    let found = snapshot.candidates(&format!("{provider}/{name}")).iter().find(at_choice);
    let entry = found.ok_or_else(|| ApiError::not_found(format!("Model {provider}/{name} not found")))?;
    let tail = format!(
        r#","provider":{},"model":{},"include_huggingface":false,"timestamp":"{}"}}"#,
        Value::from(provider),
        Value::from(name),
        page::timestamp(choice, &snapshot),
    );
    let mut parts = vec![Part::Text(Bytes::from_static(br#"{"data":"#))];
    parts.extend(entries(&runs([&**entry])));
    parts.push(Part::Text(tail.into()));
    let document = Document::new(parts, Form::Public, &snapshot, &request);
    Ok(answer::answer(&request, &services, snapshot, document).await)
}

/// The models of one maker
#[utoipa::path(
    tag = "models",
    security(()),
    params(
        ("name" = String, Path, description = "The first part of the models' ids, in any case", example = "openai"),
        ("gateway" = Option<String>, Query, description = "A gateway's name or `all`, in any case; default `all`"),
        PageQuery,
    ),
    responses(
        (status = 200, description = "The models", body = DeveloperPage),
        (status = 304, description = "They still are those of `If-None-Match`"),
        (status = 400, description = "No such gateway"),
        (status = 404, description = "Nobody of that name makes models"),
        (status = 422, description = "A query of a wrong shape"),
        (status = 503, description = "The gateway is off, or has not answered yet"),
    )
)]
#[get("/developer/{name}/models")]
pub async fn developer_models(
    request: HttpRequest,
    name: Path<String>,
    query: Query<MakersQuery>,
    page: Query<PageQuery>,
    services: web::Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let snapshot = services.actors.catalog.snapshot();
    let choice = Choice::of(query.0.gateway.as_deref(), Choice::All)?;
    let all = choice.known_entries(&snapshot)?.iter().map(|entry| &**entry);
    let Slice { shown, total } = page.0.cut(all.filter(|entry| entry.maker().eq_ignore_ascii_case(&name.0)));
    if total == 0 {
        return Err(ApiError::not_found(format!("No models found for developer {}", name.0)));
    }
    let count = shown.len();
    let limit = page::or_null(page.0.limit());
    let (offset, gateway) = (page.0.offset(), choice.name());
    let head = format!(r#"{{"developer":{},"models":["#, Value::from(name.0));
    let tail = format!(r#"],"total":{total},"count":{count},"offset":{offset},"limit":{limit},"gateway":"{gateway}"}}"#);
    let mut parts = vec![Part::Text(head.into())];
    parts.extend(entries(&runs(shown)));
    parts.push(Part::Text(tail.into()));
    let document = Document::new(parts, Form::Public, &snapshot, &request);
    Ok(answer::answer(&request, &services, snapshot, document).await)
}
