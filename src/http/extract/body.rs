//! `Body<T>`: JSON.

use super::mistake;
use crate::http::error::{ApiError, FieldError};
use crate::http::limits::RawBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

/// The request's JSON body. A missing content type is taken as JSON; another one is 415.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if !is_json(request) {
            return Box::pin(async { Err(wrong_type()) });
        }
        let bytes = RawBody::from_request(request, payload);
        Box::pin(async move { parse(&bytes.await?.0).map(Self) })
    }
}

/// Parses a JSON object; the error says which field is wrong.
///
/// # Errors
/// 422 (400 under `/v1` and `/api`) for what is no JSON, or not of this shape.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // serde fills a struct from a list, too, by the order of its fields in our source.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(serde_json::from_slice::<IgnoredAny>(bytes).map_or_else(|error| malformed(&error), |_| no_object()));
    }
    // Tracking the path costs; so only those who erred pay for it.
    serde_json::from_slice(bytes).or_else(|_| parse_with_path(bytes))
}

fn no_object() -> ApiError {
    let field = FieldError {
        kind: "dict_type".into(),
        loc: vec!["body".into()],
        msg: "Input should be an object".into(),
        input: Value::Null,
    };
    ApiError::unprocessable(vec![field])
}

fn parse_with_path<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        let field =
            FieldError { kind: "missing".into(), loc: vec!["body".into()], msg: "Field required".into(), input: Value::Null };
        return Err(ApiError::unprocessable(vec![field]));
    }
    let sent: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(bytes)).map_err(|error| {
        let text = error.inner().to_string();
        // serde_json ends its texts with a place that the path tells better.
        let text = text.split(" at line ").next().unwrap_or_default();
        ApiError::unprocessable(vec![mistake::field("body", error.path(), text, &sent)])
    })
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let field = FieldError {
        kind: "json_invalid".into(),
        loc: vec!["body".into(), error.column().into()],
        msg: format!("JSON decode error: {error}"),
        input: json!({}),
    };
    ApiError::unprocessable(vec![field]).with_param("body")
}

fn is_json(request: &HttpRequest) -> bool {
    let Some(content_type) = request.headers().get(CONTENT_TYPE) else { return true };
    let Ok(text) = content_type.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.is_empty()
        || essence.eq_ignore_ascii_case("application/json")
        || essence.get(essence.len().saturating_sub(5)..).is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
}

fn wrong_type() -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "The body must be JSON: send Content-Type: application/json",
    )
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
