//! `GET /openapi.json`: all routes, described by the handlers themselves.

use actix_web::{HttpResponse, get, web};
use bytes::Bytes;
use serde_json::json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};
use utoipa::{Modify, OpenApi as _};

mod refusals;

#[derive(utoipa::OpenApi)]
#[openapi(
    components(schemas(refusals::OpenAiRefusal, refusals::ApiRefusal, refusals::DetailRefusal)),
    info(
        title = "Tollgate",
        description = "A metered AI backend: an OpenAI-compatible proxy with a ledger that cannot overspend or forget.",
        license(name = "MIT", identifier = "MIT"),
    ),
    servers((url = "/")),
    security(("api_key" = [])),
    modifiers(&SecuritySchemes),
)]
struct Base;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_with(Components::new);
        let scheme = |text: &str| {
            let mut scheme = Http::new(HttpAuthScheme::Bearer);
            scheme.description = Some(text.to_owned());
            SecurityScheme::Http(scheme)
        };
        components.add_security_scheme("api_key", scheme("An API key (gw_…), as a bearer token or as X-API-Key"));
        components.add_security_scheme("admin_key", scheme("The server's ADMIN_API_KEY, or the API key of an administrator"));
    }
}

/// The description without any route.
pub fn base() -> OpenApi {
    Base::openapi()
}

/// The finished description, as JSON.
pub struct Document(Bytes);

impl Document {
    pub fn of(api: &OpenApi) -> Self {
        let mut document = serde_json::to_value(api).unwrap_or_else(|error| {
            tracing::error!(%error, "the OpenAPI description is no JSON");
            json!({})
        });
        refusals::complete(&mut document);
        Self(document.to_string().into())
    }
}

/// This description
#[utoipa::path(tag = "house", security(()), responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
#[get("/openapi.json")]
pub async fn openapi_json(document: web::Data<Document>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(document.0.clone())
}
