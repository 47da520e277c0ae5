//! `POST /v1/chat/completions`.

use super::error::ApiError;
use super::extract::Query;
use super::limits::RawBody;
use super::principal::scopes::Completions;
use super::principal::{May, Write};
use crate::adapters::Gateways;
use crate::completion::{self, Answer, CallQuery, Order, PlainAnswer, StreamHead};
use crate::startup::Services;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, post, web};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
const X_GENERATION_ID: HeaderName = HeaderName::from_static("x-generation-id");
/// Set when the balance afforded less than was asked for: the completion tokens of each choice.
const X_MAX_TOKENS_LOWERED: HeaderName = HeaderName::from_static("x-max-tokens-lowered");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A chat completion
///
/// OpenAI's request and answer. All fields go on to the model's provider. `provider` (a gateway's name, or OpenRouter's
/// preferences), `portkey_provider` and `portkey_virtual_key` choose who serves; when a gateway fails before the first byte, the
/// next one that has the model is asked, and after them those that have one of `models`. The answer, or the last chunk of a stream that asked for usage, carries `gateway_usage`.
#[utoipa::path(tag = "chat", params(CallQuery,
    ("Idempotency-Key" = Option<String>, Header, description = "The same key and body within 24 hours: one call, one charge", max_length = 255),
), request_body(
    content = Object, description = "OpenAI's CreateChatCompletionRequest",
    example = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}),
), responses(
    (status = 200, description = "The completion, or its events when `stream` is true", content(
        (Object = "application/json"), (String = "text/event-stream"),
    )),
    (status = 400, description = "A wrong request; `error.param` says where"),
    (status = 401, description = "No valid key"),
    (status = 402, description = "Not enough credits: what is needed and what is there"),
    (status = 403, description = "The key may not do this"),
    (status = 404, description = "No such model"),
    (status = 409, description = "The Idempotency-Key is in use"),
    (status = 422, description = "The Idempotency-Key was used for another request"),
    (status = 429, description = "A limit is reached, here or at the provider"),
    (status = 502, description = "The provider gave no usable answer"),
    (status = 503, description = "Not available for now; nothing was charged"),
    (status = 504, description = "The provider did not answer in time"),
))]
#[post("/v1/chat/completions")]
pub async fn chat_completions(
    services: web::Data<Services>,
    gateways: web::Data<Gateways>,
    caller: May<Write, Completions>,
    query: Query<CallQuery>,
    request: HttpRequest,
    body: RawBody,
) -> Result<HttpResponse, ApiError> {
    let order = Order { caller: caller.0, body: body.0, query: query.0, idempotency_key: idempotency_key(&request)? };
    Ok(match completion::complete(&services, &gateways, order).await? {
        Answer::Plain(answer) => plain(answer, false),
        Answer::Replayed(answer) => plain(answer, true),
        Answer::Stream(head) => stream(head),
    })
}

pub(super) fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let mut given = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(key) = given.next() else { return Ok(None) };
    match (key.to_str(), given.next()) {
        (Ok(key), None) if (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::bad_request(format!(
            "Idempotency-Key must be one text of 1 to {IDEMPOTENCY_KEY_CHARS_MAX} ASCII characters"
        ))
        .with_param("Idempotency-Key")),
    }
}

fn plain(answer: PlainAnswer, is_replayed: bool) -> HttpResponse {
    let PlainAnswer { generation, status, content_type, body, max_tokens_lowered } = answer;
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::OK));
    response.insert_header((CONTENT_TYPE, content_type));
    if is_replayed {
        response.insert_header(("idempotent-replayed", "true"));
    }
    about_call(&mut response, generation.as_str(), max_tokens_lowered);
    response.body(body)
}

fn stream(head: StreamHead) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("text/event-stream")));
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    // nginx would collect the events otherwise.
    response.insert_header((X_ACCEL_BUFFERING, HeaderValue::from_static("no")));
    about_call(&mut response, head.generation.as_str(), head.max_tokens_lowered);
    response.body(head.body)
}

fn about_call(response: &mut HttpResponseBuilder, generation: &str, max_tokens_lowered: Option<i64>) {
    response.insert_header((X_GENERATION_ID, generation));
    if let Some(tokens) = max_tokens_lowered {
        response.insert_header((X_MAX_TOKENS_LOWERED, tokens));
    }
}
