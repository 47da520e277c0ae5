//! `GET /`: what this is and where to go on.

use actix_web::{HttpResponse, get, web};
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, PathItem};

/// The page, made once out of the description of all routes.
pub struct RootPage(Bytes);

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Public,
    Protected,
    Admin,
}

impl RootPage {
    pub fn of(api: &OpenApi) -> Self {
        let page = json!({
            "name": "Tollgate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A metered AI backend: an OpenAI-compatible proxy with a ledger that cannot overspend or forget",
            "status": "active",
            "endpoints": {
                "public": endpoints(api, Access::Public),
                "admin": endpoints(api, Access::Admin),
                "protected": endpoints(api, Access::Protected),
            },
            "features": [
                "OpenAI-compatible chat completions, plain and streamed",
                "Many model providers behind one key",
                "Every token charged once, never above the balance",
                "API keys with limits, scopes, address and domain lists",
                "Plans, trials and rate limits",
            ],
            "model_endpoint_features": ["Filter by gateway and provider", "Search", "Pages", "Prices per token"],
            "documentation": {"swagger_ui": "/docs", "redoc": "/docs", "openapi_spec": "/openapi.json"},
        });
        Self(page.to_string().into())
    }
}

/// What this is and where to go on
#[utoipa::path(tag = "house", security(()), responses((status = 200, description = "Name, version, routes", body = Object)))]
#[get("/")]
pub async fn root(page: web::Data<RootPage>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(page.0.clone())
}

fn endpoints(api: &OpenApi, access: Access) -> Vec<Value> {
    let of_path = |(path, item): (&String, &PathItem)| {
        let taken = methods(item).into_iter().filter_map(|(method, operation)| Some((method, operation?)));
        let granted = taken.filter(|(_, operation)| access_of(operation) == access);
        granted.map(|(method, operation)| line(method, path, operation)).collect::<Vec<_>>()
    };
    api.paths.paths.iter().flat_map(of_path).collect()
}

const fn methods(item: &PathItem) -> [(&'static str, Option<&Operation>); 5] {
    [
        ("GET", item.get.as_ref()),
        ("POST", item.post.as_ref()),
        ("PUT", item.put.as_ref()),
        ("PATCH", item.patch.as_ref()),
        ("DELETE", item.delete.as_ref()),
    ]
}

fn line(method: &str, path: &str, operation: &Operation) -> Value {
    match &operation.summary {
        Some(summary) => format!("{method} {path} - {summary}").into(),
        None => format!("{method} {path}").into(),
    }
}

/// By the scheme that the route's description names; none is the API key of all others.
fn access_of(operation: &Operation) -> Access {
    let Some(schemes) = operation.security.as_ref().and_then(|list| serde_json::to_value(list).ok()) else {
        return Access::Protected;
    };
    let names: Vec<&str> = schemes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .flat_map(|scheme| scheme.keys())
        .map(String::as_str)
        .collect();
    match names.as_slice() {
        [] => Access::Public,
        names if names.contains(&"admin_key") => Access::Admin,
        _ => Access::Protected,
    }
}
