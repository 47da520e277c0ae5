//! An upstream's failure as the caller sees it (decision 17).

use crate::http::error::ApiError;
use actix_web::http::StatusCode;
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;
use tollgate_actors::ports::GatewayError;
use tollgate_domain::GatewayId;

/// Of a provider's message this much is handed on.
const MESSAGE_BYTES_MAX: usize = 2_000;
const RETRY_SOON: Duration = Duration::from_secs(1);

/// The error that a failed call is answered with.
#[must_use]
pub fn of_gateway(gateway: GatewayId, error: &GatewayError) -> ApiError {
    metrics::counter!("tollgate_upstream_failures_total", "gateway" => gateway.as_str(), "kind" => kind(error)).increment(1);
    match error {
        GatewayError::Connection(_) => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_unavailable",
            "The model provider can't be reached, please retry",
        )
        .with_retry_after(RETRY_SOON),
        GatewayError::Exhausted(_) => ApiError::unavailable(RETRY_SOON),
        GatewayError::Timeout(_) => ApiError::gateway_timeout(),
        GatewayError::Status { status, body, retry_after } => of_status(*status, &Said::of_body(body), *retry_after),
        GatewayError::Malformed(_) | GatewayError::TooLarge => ApiError::bad_gateway(),
    }
    .with_cause(error)
}

/// The failure that an answer under status 200 is in truth: its `error`, whose code may be a status or a word.
#[must_use]
pub fn error_in_answer(error: &RawValue) -> GatewayError {
    let said = Said::of_value(&serde_json::from_str(error.get()).unwrap_or_default());
    let status = said.status.filter(|status| (400..600).contains(status)).unwrap_or(500);
    GatewayError::Status { status, body: format!(r#"{{"error":{error}}}"#).into(), retry_after: None }
}

/// The failure's kind in metrics and records.
pub(super) const fn kind(error: &GatewayError) -> &'static str {
    match error {
        GatewayError::Connection(_) => "connection",
        GatewayError::Exhausted(_) => "exhausted",
        GatewayError::Timeout(_) => "timeout",
        GatewayError::Status { .. } => "status",
        GatewayError::Malformed(_) => "malformed",
        GatewayError::TooLarge => "too_large",
    }
}

fn of_status(status: u16, said: &Said, retry_after: Option<Duration>) -> ApiError {
    let error = match status {
        // The operator's trouble, not the caller's: the text may speak of the operator's account.
        401..=403 => ApiError::bad_gateway(),
        404 => ApiError::not_found(said.or("The model provider does not know this model")).with_code("model_not_found"),
        408 => ApiError::gateway_timeout(),
        429 => {
            let wait = retry_after.unwrap_or(RETRY_SOON);
            return ApiError::too_many_requests(said.or("The model provider's rate limit is reached"), Some(wait));
        }
        400..=499 => ApiError::bad_request(said.or("The model provider refused the request")).with_code("upstream_rejected"),
        _ => ApiError::bad_gateway(),
    };
    let error = match &said.param {
        Some(param) if (400..500).contains(&error.status().as_u16()) => error.with_param(param.as_str()),
        _ => error,
    };
    match retry_after {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

/// What a provider says of its refusal.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    message: Option<String>,
    param: Option<String>,
    status: Option<u16>,
}

impl Said {
    /// OpenAI's `{"error": {"message"}}`, `{"error": "text"}`, `{"message"}`, FastAPI's `{"detail"}`, problem details
    /// (`title`, `detail`), or plain text.
    fn of_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(body) => Self::of_value(body.get("error").filter(|error| error.is_object()).unwrap_or(&body)),
            Err(_) => Self { message: str::from_utf8(body).ok().and_then(presentable), ..Self::default() },
        }
    }

    fn of_value(error: &Value) -> Self {
        let said = [Some(error), error.get("message"), error.get("detail"), error.get("title"), error.get("error")];
        let status = error.get("code").and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
        Self {
            message: said.into_iter().flatten().find_map(message),
            param: error.get("param").and_then(Value::as_str).map(str::to_owned),
            status: status.and_then(|status| u16::try_from(status).ok()),
        }
    }

    fn or(&self, fallback: &str) -> String {
        self.message.clone().unwrap_or_else(|| fallback.to_owned())
    }
}

/// A text, or a validator's list of texts or of objects with `msg`: its first.
fn message(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => presentable(text),
        Value::Array(all) => all.iter().find_map(|one| presentable(one.get("msg").unwrap_or(one).as_str()?)),
        _ => None,
    }
}

/// One bounded line; `None` for what is nothing, or markup: that comes from something before the provider.
fn presentable(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') || text.contains("</") {
        return None;
    }
    let mut line: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(MESSAGE_BYTES_MAX).collect();
    line.truncate(line.floor_char_boundary(MESSAGE_BYTES_MAX));
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tollgate_actors::ports::Phase;

    fn status(status: u16, body: &str, retry_after: Option<u64>) -> ApiError {
        let body = Bytes::copy_from_slice(body.as_bytes());
        of_gateway(
            GatewayId::OpenRouter,
            &GatewayError::Status { status, body, retry_after: retry_after.map(Duration::from_secs) },
        )
    }

    #[test]
    fn every_failure_has_the_status_of_decision_17() {
        let openai = r#"{"error":{"message":"too long","param":"messages","code":"context_length_exceeded"}}"#;
        for (sent, shown) in
            [(401, 502), (402, 502), (403, 502), (404, 404), (400, 400), (413, 400), (422, 400), (429, 429), (408, 504)]
        {
            assert_eq!(status(sent, openai, None).status().as_u16(), shown, "{sent}");
        }
        for sent in [500, 502, 503, 529] {
            assert_eq!(status(sent, "<html>", None).status().as_u16(), 502, "{sent}");
        }
        let shown = |error| of_gateway(GatewayId::OpenRouter, &error).status().as_u16();
        assert_eq!(shown(GatewayError::Connection("refused".to_owned())), 503);
        assert_eq!(shown(GatewayError::Exhausted("too many open files".to_owned())), 503);
        assert_eq!(shown(GatewayError::Timeout(Phase::Total)), 504);
        assert_eq!(shown(GatewayError::Malformed("html".to_owned())), 502);
        assert_eq!(shown(GatewayError::TooLarge), 502);
    }

    #[test]
    fn the_callers_mistakes_are_told_in_the_providers_words_and_the_operators_are_not() {
        for body in [
            r#"{"error":{"message":"too long","param":"messages"}}"#,
            r#"{"error":"too long"}"#,
            r#"{"message":"too long"}"#,
            r#"{"error":true,"message":"too long"}"#,
            r#"{"statusCode":400,"error":"Bad Request","message":["too long","too loud"]}"#,
            r#"{"detail":"too long"}"#,
            r#"{"detail":[{"loc":["body","messages"],"msg":"too long","type":"value_error"}]}"#,
            r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"too long"}"#,
            r#"{"type":"about:blank","title":"too long","status":400}"#,
            r#"{"error":{"code":400,"message":null,"detail":"too long"}}"#,
            r#""too long""#,
            "too long",
            " too long\r\n",
        ] {
            assert_eq!(status(400, body, None).message(), "too long", "{body}");
            assert!(!status(402, body, None).message().contains("too long"), "{body}");
            assert!(!status(500, body, None).message().contains("too long"), "{body}");
        }
        assert_eq!(status(400, &format!(r#"{{"error":"{}"}}"#, "é".repeat(5_000)), None).message().len(), MESSAGE_BYTES_MAX);
    }

    #[test]
    fn markup_and_nothing_are_no_message() {
        for body in
            ["", "  ", "<!DOCTYPE html><h1>403</h1>", "error 1034 <a href='x'>help</a>", "{}", "[]", "7", r#"{"error":null}"#]
        {
            assert_eq!(status(400, body, None).message(), "The model provider refused the request", "{body:?}");
        }
        // Glama stands behind Cloudflare, whose refusals concern the operator.
        assert_eq!(status(403, "<title>Attention Required! | Cloudflare</title>", None).status().as_u16(), 502);
        assert_eq!(status(400, "one\ntwo\u{7}", None).message(), "one two ");
    }

    #[test]
    fn an_error_under_status_200_is_read_by_its_code_be_it_a_number_or_a_word() {
        let shown = |error: &str| {
            let raw: &RawValue = serde_json::from_str(error).expect("JSON");
            of_gateway(GatewayId::OpenRouter, &error_in_answer(raw)).status().as_u16()
        };
        assert_eq!(shown(r#"{"code":429,"message":"slow down"}"#), 429);
        assert_eq!(shown(r#"{"code":"400","message":"no"}"#), 400);
        assert_eq!(shown(r#"{"code":"server_error"}"#), 502);
        assert_eq!(shown(r#""broken""#), 502);
        assert_eq!(shown("7"), 502);
    }
}
