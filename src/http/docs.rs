//! `GET /docs/`: Swagger UI over `/openapi.json`. Its files are in the binary: the page asks nothing of the internet.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ContentEncoding, LOCATION};
use actix_web::{HttpResponse, get, web};
use std::sync::Arc;
use utoipa_swagger_ui::Config;

use super::error::ApiError;

/// No page of ours may be framed, and this one loads only from us; Swagger UI needs its inline styles.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// The page lives at `/docs/`
#[utoipa::path(tag = "house", security(()), responses((status = 308, description = "To /docs/")))]
#[get("/docs")]
pub async fn docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

/// The documentation's page and its files
#[utoipa::path(
    tag = "house",
    security(()),
    params(("file" = String, Path, description = "A file of the page; none for the page itself")),
    responses((status = 200, description = "The file", body = String, content_type = "text/html"), (status = 404, description = "No such file")),
)]
#[get("/docs/{file:.*}")]
pub async fn docs_file(file: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let config = Arc::new(Config::from("/openapi.json"));
    match utoipa_swagger_ui::serve(&file, config) {
        Ok(Some(found)) => {
            let mut response = HttpResponse::Ok();
            if found.gzpipped {
                response.insert_header((CONTENT_ENCODING, ContentEncoding::Gzip));
            }
            response.insert_header((CONTENT_SECURITY_POLICY, POLICY)).content_type(found.content_type);
            Ok(response.body(found.bytes.into_owned()))
        }
        Ok(None) => Err(ApiError::not_found("No such file")),
        Err(error) => Err(ApiError::internal(error.as_ref())),
    }
}
