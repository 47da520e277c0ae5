//! `Query<T>` and `Path<T>`.

use super::mistake;
use crate::http::error::{ApiError, FieldError};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::future::{Ready, ready};

/// The query string, as a struct.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse_query(request.query_string()).map(Self))
    }
}

fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let pairs = serde_urlencoded::Deserializer::new(form_pairs(query));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let field = mistake::field("query", error.path(), &error.inner().to_string(), &sent(query));
        ApiError::unprocessable(vec![field])
    })
}

fn form_pairs(query: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.as_bytes())
}

fn sent(query: &str) -> Value {
    let pairs = form_pairs(query).map(|(key, value)| (key.into_owned(), Value::String(value.into_owned())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// The path's parameters: one value, a tuple or a struct.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Path<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let found = web::Path::<T>::from_request(request, payload).into_inner();
        ready(found.map(|path| Self(path.into_inner())).map_err(|_| wrong_path(request)))
    }
}

/// actix does not say which parameter is wrong; with one there is no doubt.
fn wrong_path(request: &HttpRequest) -> ApiError {
    let mut field = FieldError {
        kind: "value_error".into(),
        loc: vec!["path".into()],
        msg: "Not a valid value for this path".into(),
        input: Value::Null,
    };
    let mut parameters = request.match_info().iter();
    if let (Some((name, value)), None) = (parameters.next(), parameters.next()) {
        field.loc.push(name.into());
        field.input = value.into();
    }
    ApiError::unprocessable(vec![field])
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
