//! `GET /v1/generation`: what one call was, in OpenRouter's shape.

use super::error::ApiError;
use super::extract::Query;
use super::principal::scopes::Usage;
use super::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tollgate_domain::{GenerationId, Nanos};
use tollgate_store::failed_attempts::{self, FailedAttempt};
use tollgate_store::generations::{self, Generation};
use utoipa::{IntoParams, ToSchema};

/// Which call
#[derive(Deserialize, IntoParams)]
pub struct GenerationQuery {
    /// The `X-Generation-Id` of the call's answer.
    id: String,
}

/// A call
#[derive(Serialize, ToSchema)]
pub struct GenerationResponse {
    data: GenerationData,
}

/// What a call was. Dollars, milliseconds; `null` is not known
#[derive(Serialize, ToSchema)]
pub struct GenerationData {
    id: String,
    upstream_id: Option<String>,
    #[schema(value_type = f64)]
    total_cost: Nanos,
    /// The same as `total_cost`.
    #[schema(value_type = f64)]
    usage: Nanos,
    #[schema(value_type = Option<f64>)]
    cache_discount: Option<Nanos>,
    #[schema(value_type = Option<f64>)]
    upstream_inference_cost: Option<Nanos>,
    /// When it was charged.
    created_at: DateTime<Utc>,
    model: String,
    app_id: Option<i64>,
    streamed: bool,
    /// The client left before the end.
    cancelled: bool,
    /// The gateway that answered.
    provider_name: String,
    /// From the request to the end of the answer.
    latency: i64,
    moderation_latency: Option<i64>,
    generation_time: Option<i64>,
    /// `null` when the answer has none; `error` when it broke off.
    finish_reason: Option<String>,
    /// As the provider said it.
    native_finish_reason: Option<String>,
    tokens_prompt: i64,
    tokens_completion: i64,
    native_tokens_prompt: i64,
    native_tokens_completion: i64,
    native_tokens_reasoning: i64,
    native_tokens_cached: i64,
    native_tokens_completion_images: Option<i64>,
    num_media_prompt: Option<i64>,
    num_input_audio_prompt: Option<i64>,
    num_media_completion: Option<i64>,
    num_search_results: Option<i64>,
    origin: String,
    is_byok: bool,
    router: Option<String>,
    /// Every attempt, the one that answered last.
    provider_responses: Vec<ProviderResponse>,
    external_user: Option<String>,
    session_id: Option<String>,
    request_id: Option<String>,
    api_type: &'static str,
    data_region: Option<String>,
}

/// One attempt at a provider
#[derive(Serialize, ToSchema)]
pub struct ProviderResponse {
    id: Option<String>,
    endpoint_id: Option<String>,
    model_permaslug: String,
    provider_name: String,
    /// `null` when it gave no answer at all.
    status: Option<i64>,
    /// Milliseconds.
    latency: i64,
    is_byok: bool,
}

/// One call
///
/// Known as soon as its answer has ended; calls that cost nothing are not kept.
#[utoipa::path(tag = "account", params(GenerationQuery), responses(
    (status = 200, description = "The call", body = GenerationResponse),
    (status = 400, description = "No id"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 404, description = "The user has no such call"),
    (status = 503, description = "The database is away"),
))]
#[get("/v1/generation")]
pub async fn generation(
    services: web::Data<Services>,
    caller: May<Read, Usage>,
    Query(query): Query<GenerationQuery>,
) -> Result<web::Json<GenerationResponse>, ApiError> {
    let unknown = || ApiError::not_found(format!("Generation {} not found", shown(&query.id))).with_param("id");
    let hold = GenerationId::parse(&query.id).ok_or_else(unknown)?;
    let found = generations::find(&services.store, caller.0.user, hold).await?.ok_or_else(unknown)?;
    let failed = failed_attempts::of_generation(&services.store, caller.0.user, hold).await?;
    Ok(web::Json(GenerationResponse { data: GenerationData::of(GenerationId::of(hold), found, &failed) }))
}

/// Ids are short; a long text that is none is not sent back.
fn shown(id: &str) -> String {
    id.chars().take(64).collect()
}

/// The records' words for an answer without a reason of its provider's (`completion/note.rs`).
const OWN_REASONS: [&str; 3] = ["unknown", "error", "client_gone"];

impl GenerationData {
    fn of(id: GenerationId, call: Generation, failed: &[FailedAttempt]) -> Self {
        let reason = call.finish_reason.as_str();
        let native = (!OWN_REASONS.contains(&reason)).then(|| call.finish_reason.clone());
        let latency = i64::from(call.latency_ms);
        Self {
            id: id.to_string(),
            upstream_id: None,
            total_cost: Nanos(call.cost),
            usage: Nanos(call.cost),
            cache_discount: None,
            upstream_inference_cost: None,
            created_at: call.created_at,
            app_id: None,
            streamed: call.streamed,
            cancelled: reason == "client_gone",
            latency,
            moderation_latency: None,
            generation_time: None,
            finish_reason: if reason == "error" { Some("error".to_owned()) } else { native.clone() },
            native_finish_reason: native,
            tokens_prompt: call.prompt_tokens,
            tokens_completion: call.completion_tokens,
            native_tokens_prompt: call.prompt_tokens,
            native_tokens_completion: call.completion_tokens,
            native_tokens_reasoning: call.reasoning_tokens,
            native_tokens_cached: call.cache_read_tokens,
            native_tokens_completion_images: None,
            num_media_prompt: None,
            num_input_audio_prompt: None,
            num_media_completion: None,
            num_search_results: None,
            origin: String::new(),
            is_byok: false,
            router: None,
            provider_responses: provider_responses(&call, failed),
            external_user: None,
            session_id: None,
            request_id: None,
            api_type: "completions",
            data_region: None,
            model: call.model,
            provider_name: call.gateway,
        }
    }
}

/// Of the one that answered, the time is what the others have left of the whole.
fn provider_responses(call: &Generation, failed: &[FailedAttempt]) -> Vec<ProviderResponse> {
    let response = |gateway: &str, model: &str, status: Option<i64>, latency: i64| ProviderResponse {
        id: None,
        endpoint_id: None,
        model_permaslug: model.to_owned(),
        provider_name: gateway.to_owned(),
        status,
        latency,
        is_byok: false,
    };
    let lost: i64 = failed.iter().map(|attempt| i64::from(attempt.latency_ms)).sum();
    let answered = response(&call.gateway, &call.model, Some(200), i64::from(call.latency_ms).saturating_sub(lost).max(0));
    let of_failed = |attempt: &FailedAttempt| {
        response(&attempt.gateway, &attempt.model, attempt.status.map(i64::from), attempt.latency_ms.into())
    };
    failed.iter().map(of_failed).chain([answered]).collect()
}
