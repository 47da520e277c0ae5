//! The answers' shapes, for the description of our API. The bodies are joined from text; a test holds them against these.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A list of models. `status`, `total_models` and `models` are there when no gateway was asked for.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelsPage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total_models: Option<u64>,
    /// The same as `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub models: Option<Vec<PublicModel>>,
    pub data: Vec<PublicModel>,
    /// After the filter, before paging.
    pub total: u64,
    pub returned: u64,
    pub offset: u64,
    #[schema(required)]
    pub limit: Option<u64>,
    /// A gateway, or `all`.
    pub gateway: String,
    pub note: String,
    /// Always false.
    pub include_huggingface: bool,
    /// When the list was fetched.
    pub timestamp: DateTime<Utc>,
}

/// A model as its gateway describes it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct PublicModel {
    /// What a call's `model` is: `developer/model`, as a rule.
    #[schema(example = "openai/gpt-4o")]
    pub id: String,
    /// OpenAI's word for it.
    #[schema(example = "model")]
    pub object: String,
    /// Unix seconds.
    #[schema(required)]
    pub created: Option<i64>,
    /// `provider_slug`, or the gateway where nobody is named.
    #[schema(example = "openai")]
    pub owned_by: String,
    #[serde(flatten)]
    pub fields: ModelFields,
}

/// What OpenAI's and the web clients' doors show alike.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ModelFields {
    /// The same as `id`; not at OpenRouter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub slug: Option<String>,
    #[schema(required)]
    pub canonical_slug: Option<String>,
    #[schema(required)]
    pub hugging_face_id: Option<String>,
    pub name: String,
    #[schema(required)]
    pub description: Option<String>,
    /// Tokens; 0 when unknown.
    pub context_length: i64,
    #[schema(required)]
    pub architecture: Option<Map<String, Value>>,
    /// The gateway's prices: dollars per token (`request`, `image`, `web_search`: per piece) as decimal strings; null when unknown.
    pub pricing: Map<String, Value>,
    #[schema(required)]
    pub top_provider: Option<Map<String, Value>>,
    #[schema(required)]
    pub per_request_limits: Option<Map<String, Value>>,
    pub supported_parameters: Vec<Value>,
    pub default_parameters: Map<String, Value>,
    #[schema(required)]
    pub provider_slug: Option<String>,
    #[schema(required)]
    pub provider_site_url: Option<String>,
    #[schema(required)]
    pub model_logo_url: Option<String>,
    #[schema(example = "openrouter")]
    pub source_gateway: String,
    pub charged_pricing: ChargedPricing,
}

/// What a call costs: dollars per token (`request`, `image`: per piece) as decimal strings. A line that is missing costs what
/// its whole does.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChargedPricing {
    #[schema(example = "0.0000025")]
    pub prompt: String,
    #[schema(example = "0.00001")]
    pub completion: String,
    pub request: String,
    pub image: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub internal_reasoning: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub input_cache_read: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub input_cache_write: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub input_cache_write_1h: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub audio: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub audio_output: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub image_output: Option<String>,
    /// Prices for long prompts or hours of the day. Of those whose conditions a call meets, later ones win, line by line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub overrides: Option<Vec<ChargedTier>>,
}

/// Prices that hold where all of the entry's conditions are met; lines that are missing cost what they do elsewhere.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChargedTier {
    /// The prompt has more tokens than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub min_prompt_tokens: Option<i64>,
    /// The call begins at this time of day or later (`HHMM`, UTC), and before `utc_end`; over midnight when that is earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "1630")]
    pub utc_start: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "0030")]
    pub utc_end: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub prompt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub completion: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub image: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub internal_reasoning: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub input_cache_read: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub input_cache_write: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub input_cache_write_1h: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub audio: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub audio_output: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub image_output: Option<String>,
}

/// OpenAI's list of models.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelObjectList {
    #[schema(example = "list")]
    pub object: String,
    pub data: Vec<ModelObject>,
}

/// OpenAI's model, with OpenRouter's fields beside.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ModelObject {
    #[schema(example = "openai/gpt-4o")]
    pub id: String,
    #[schema(example = "model")]
    pub object: String,
    /// Unix seconds; 0 when unknown.
    pub created: i64,
    /// `provider_slug`, or the gateway where nobody is named.
    #[schema(example = "openai")]
    pub owned_by: String,
    #[serde(flatten)]
    pub fields: ModelFields,
}

/// How many models there are.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ModelCountResponse {
    pub data: ModelCount,
}

/// Models that can be called, each id once.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ModelCount {
    pub count: usize,
}

/// One model, for its page.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelPage {
    pub data: PublicModel,
    pub provider: String,
    pub model: String,
    /// Always false.
    pub include_huggingface: bool,
    /// When the list was fetched.
    pub timestamp: DateTime<Utc>,
}

/// The models of one maker.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeveloperPage {
    pub developer: String,
    pub models: Vec<PublicModel>,
    /// Before paging.
    pub total: u64,
    pub count: u64,
    pub offset: u64,
    #[schema(required)]
    pub limit: Option<u64>,
    /// A gateway, or `all`.
    pub gateway: String,
}

/// Where a model can be called, in OpenRouter's form.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct EndpointsResponse {
    pub data: EndpointList,
}

/// A model and its endpoints.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct EndpointList {
    #[schema(example = "openai/gpt-4o")]
    pub id: String,
    pub name: String,
    /// Unix seconds; 0 when unknown.
    pub created: i64,
    pub description: String,
    pub architecture: Map<String, Value>,
    /// In the order in which they are tried.
    pub endpoints: Vec<Endpoint>,
}

/// A gateway that has the model.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct Endpoint {
    #[schema(example = "openrouter | openai/gpt-4o")]
    pub name: String,
    pub model_id: String,
    pub model_name: String,
    /// Tokens; 0 when unknown.
    pub context_length: i64,
    /// What is charged.
    pub pricing: ChargedPricing,
    #[schema(example = "openrouter")]
    pub provider_name: String,
    /// What a completion's `provider` names.
    #[schema(example = "openrouter")]
    pub tag: String,
    /// Not known.
    #[schema(required)]
    pub quantization: Option<String>,
    #[schema(required)]
    pub max_completion_tokens: Option<i64>,
    /// Not known.
    #[schema(required)]
    pub max_prompt_tokens: Option<i64>,
    pub supported_parameters: Vec<Value>,
    /// 0: it is served.
    pub status: i64,
    /// Not known.
    #[schema(required)]
    pub uptime_last_30m: Option<f64>,
    pub supports_implicit_caching: bool,
}
