//! What each known field may hold, and the 400s that say what is wrong.

use crate::http::error::ApiError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;

const MODEL_BYTES_MAX: usize = 256;
/// OpenAI's bound of `n`.
const CHOICES_MAX: i64 = 128;
/// Fallbacks in one request.
const MODELS_MAX: usize = 16;
const HEADER_BYTES_MAX: usize = 256;

pub fn missing(param: &'static str) -> ApiError {
    ApiError::bad_request(format!("Missing required parameter: '{param}'"))
        .with_code("missing_required_parameter")
        .with_param(param)
}

pub fn invalid(param: &str, problem: impl Display) -> ApiError {
    ApiError::bad_request(format!("Invalid '{param}': {problem}")).with_code("invalid_value").with_param(param)
}

pub fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::bad_request(format!("The body is not a valid JSON object: {error}")).with_code("invalid_json")
}

pub fn typed<T: DeserializeOwned>(param: &str, value: &str, wanted: &str) -> Result<T, ApiError> {
    serde_json::from_str(value).map_err(|_| {
        ApiError::bad_request(format!("Invalid type for '{param}': expected {wanted}"))
            .with_code("invalid_type")
            .with_param(param)
    })
}

pub fn model(value: &str) -> Result<String, ApiError> {
    let model: Option<String> = typed("model", value, "a string")?;
    let model = model.ok_or_else(|| missing("model"))?;
    match model.len() {
        0 => Err(invalid("model", "must not be empty")),
        1..=MODEL_BYTES_MAX => Ok(model),
        _ => Err(invalid("model", format!("must not be longer than {MODEL_BYTES_MAX} bytes"))),
    }
}

pub fn models(value: &str) -> Result<Vec<String>, ApiError> {
    let models = typed::<Option<Vec<String>>>("models", value, "a list of strings")?.unwrap_or_default();
    match models.len() {
        0..=MODELS_MAX => Ok(models),
        _ => Err(invalid("models", format!("must not name more than {MODELS_MAX} models"))),
    }
}

pub fn max_tokens(param: &'static str, value: &str) -> Result<Option<i64>, ApiError> {
    match typed(param, value, "an integer")? {
        Some(..=0) => Err(invalid(param, "must be at least 1")),
        tokens => Ok(tokens),
    }
}

pub fn choices(value: &str) -> Result<i64, ApiError> {
    match typed::<Option<i64>>("n", value, "an integer")? {
        None => Ok(1),
        Some(choices @ 1..=CHOICES_MAX) => Ok(choices),
        Some(_) => Err(invalid("n", format!("must be between 1 and {CHOICES_MAX}"))),
    }
}

pub fn flag(param: &'static str, value: &str) -> Result<bool, ApiError> {
    Ok(typed::<Option<bool>>(param, value, "a boolean")?.unwrap_or_default())
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

pub fn include_usage(value: &str) -> Result<bool, ApiError> {
    let options: Option<StreamOptions> = match value.starts_with('[') {
        true => typed("stream_options", "0", "an object")?,
        false => typed("stream_options", value, "an object with a boolean 'include_usage'")?,
    };
    Ok(options.unwrap_or_default().include_usage.unwrap_or_default())
}

/// A text that goes upstream in a header.
pub fn header_text(param: &'static str, value: &str) -> Result<Option<String>, ApiError> {
    let text = typed::<Option<String>>(param, value, "a string")?.filter(|text| !text.is_empty());
    match &text {
        Some(text) if text.len() > HEADER_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(invalid(param, "must be short, printable ASCII without spaces"))
        }
        _ => Ok(text),
    }
}
