//! A document of the catalogue on its way out: known already, under gzip, or as it is.

use super::body::{Form, Part, Pieces};
use super::etag::ETag;
use crate::http::error::ApiError;
use crate::startup::Services;
use actix_web::http::header::{AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, Encoding, Header, VARY};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tollgate_actors::catalog::{CATALOG_TTL, CatalogSnapshot};

/// Less than this is not worth compressing.
const ZIPPED_BYTES_MIN: u64 = 1_024;

/// An answer of the catalogue, and the tag by which a client knows it again.
pub struct Document {
    parts: Vec<Part>,
    form: Form,
    tag: ETag,
}

impl Document {
    /// What follows from the lists and the request's path and query alone.
    pub fn new(parts: Vec<Part>, form: Form, snapshot: &CatalogSnapshot, request: &HttpRequest) -> Self {
        Self { parts, form, tag: tag(snapshot, request) }
    }

    /// # Errors
    /// None: what is shown can be JSON.
    pub fn of_json<T: Serialize>(body: &T, snapshot: &CatalogSnapshot, request: &HttpRequest) -> Result<Self, ApiError> {
        let text = serde_json::to_vec(body).map_err(|error| ApiError::internal(&error))?;
        Ok(Self::new(vec![Part::Text(text.into())], Form::Public, snapshot, request))
    }
}

/// The same lists, path and query: the same models at the same prices, perhaps fetched at another time.
fn tag(snapshot: &CatalogSnapshot, request: &HttpRequest) -> ETag {
    let mut hasher = DefaultHasher::new();
    (request.path(), request.query_string()).hash(&mut hasher);
    snapshot.lists().for_each(|list| (list.gateway.as_str(), list.text().tag()).hash(&mut hasher));
    ETag(hasher.finish())
}

/// 304 for who has it; else the document, compressed where that is asked for.
pub async fn answer(
    request: &HttpRequest,
    services: &web::Data<Services>,
    snapshot: Arc<CatalogSnapshot>,
    document: Document,
) -> HttpResponse {
    let tag = document.tag;
    let cache_control = format!("public, max-age={}", seconds_fresh(&snapshot, services.clock.now()));
    let mark = |mut response: HttpResponseBuilder| {
        let headers = [(ETAG, tag.header()), (CACHE_CONTROL, cache_control.clone()), (VARY, "accept-encoding".to_owned())];
        headers.into_iter().for_each(|header| {
            response.append_header(header);
        });
        response
    };
    if tag.is_known(request.headers()) {
        return mark(HttpResponse::NotModified()).finish();
    }
    let mut response = mark(HttpResponse::Ok());
    response.insert_header((CONTENT_TYPE, "application/json"));
    let plain = Pieces::plain(&document.parts, &snapshot, document.form);
    if plain.bytes() >= ZIPPED_BYTES_MIN
        && wants_gzip(request)
        && let Some(zipped) = zipped(services, snapshot, document).await
    {
        return response.insert_header((CONTENT_ENCODING, "gzip")).body(zipped);
    }
    response.body(plain)
}

async fn zipped(services: &web::Data<Services>, snapshot: Arc<CatalogSnapshot>, document: Document) -> Option<Pieces> {
    let services = services.clone();
    let zipped = web::block(move || services.models.segments().zip(&snapshot, &document.parts, document.form)).await;
    // Without a thread it goes out as it is.
    zipped.ok().flatten()
}

fn wants_gzip(request: &HttpRequest) -> bool {
    let Ok(accepted) = AcceptEncoding::parse(request) else { return false };
    !accepted.is_empty() && accepted.negotiate([Encoding::gzip(), Encoding::identity()].iter()) == Some(Encoding::gzip())
}

/// Until the oldest list is asked for anew: what a cache shows is no older than what is served here may be.
fn seconds_fresh(snapshot: &CatalogSnapshot, now: DateTime<Utc>) -> u64 {
    let oldest = snapshot.lists().map(|list| list.fetched_at).min().unwrap_or_default();
    let age = (now - oldest).to_std().unwrap_or_default();
    CATALOG_TTL.saturating_sub(age).as_secs()
}
