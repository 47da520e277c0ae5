//! Requests that no route takes: 404, or 405 when the path exists under another method.

use super::error::ApiError;
use actix_web::dev::ResourceDef;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::openapi::OpenApi;

/// Paths and the methods they take.
pub struct Allowed(Vec<(ResourceDef, String)>);

impl Allowed {
    /// Out of the description of all routes.
    pub fn of(api: &OpenApi) -> Self {
        let entry = |(path, item): (&String, &utoipa::openapi::PathItem)| {
            let methods = [
                ("GET", &item.get),
                ("POST", &item.post),
                ("PUT", &item.put),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
                ("HEAD", &item.head),
                ("OPTIONS", &item.options),
            ];
            let taken = methods.iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| *name);
            (ResourceDef::new(path.as_str()), taken.collect::<Vec<_>>().join(", "))
        };
        Self(api.paths.paths.iter().map(entry).collect())
    }

    fn at(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|(resource, _)| resource.is_match(path)).map(|(_, methods)| methods.as_str())
    }
}

/// The app's default service.
///
/// # Errors
/// Always: it is the answer to what has none.
pub async fn unknown_route(request: HttpRequest, allowed: web::Data<Allowed>) -> Result<HttpResponse, ApiError> {
    match allowed.at(request.path()) {
        Some(methods) => Err(ApiError::of_status(StatusCode::METHOD_NOT_ALLOWED).with_header("allow", methods)),
        None => Err(ApiError::not_found("Not Found")),
    }
}
