//! Whose list of models and whose errors the stand-in speaks. Sources: each gateway's documentation and clients.

use super::catalogue::{CREATED_AT_S, Model, price};
use super::reply;
use serde::Deserialize;
use serde_json::{Value, json};

/// A model gateway, by the form of its list and of its errors; all else is OpenAI's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayFormat {
    #[default]
    OpenRouter,
    Portkey,
    Featherless,
    Chutes,
    Glama,
    Requesty,
    Aiml,
    A4f,
    OpenAi,
}

/// What Portkey's and A4F's ids begin with here.
const PORTKEY_PROVIDER: &str = "@sim";
const A4F_PROVIDER: &str = "provider-1";

impl GatewayFormat {
    /// One model of the list, or `None` where the gateway would not have it. Chutes sells at half the price, Glama at the
    /// double, Requesty at the threefold: so that it can be told whose price is charged.
    pub(super) fn entry(self, model: &Model<'_>) -> Option<Value> {
        let Model { id, context_tokens, .. } = *model;
        Some(match self {
            Self::OpenRouter => model.openrouter_entry(),
            Self::Portkey => {
                json!({ "id": format!("{PORTKEY_PROVIDER}/{id}"), "slug": id, "canonical_slug": id, "object": "model" })
            }
            Self::Featherless => json!({
                "id": id, "name": id, "model_class": "sim-8b", "created": CREATED_AT_S, "context_length": context_tokens,
                "max_completion_tokens": 4096, "is_gated": false, "available_on_current_plan": true,
            }),
            Self::Chutes => chutes(model),
            Self::Glama => json!({
                "id": id, "added": "2024-05-13T00:00:00.000Z", "capabilities": if model.sees() { json!(["input:image"]) } else { json!([]) },
                "maxTokensInput": context_tokens, "maxTokensOutput": 4096,
                "pricePerToken": {
                    "input": text(model, "prompt", 2.0), "output": text(model, "completion", 2.0),
                    "cacheRead": text(model, "input_cache_read", 2.0), "cacheWrite": text(model, "input_cache_write", 2.0),
                },
            }),
            Self::Requesty => requesty(model),
            Self::Aiml => json!({
                "id": id, "type": "chat-completion",
                "info": {
                    "name": id, "developer": "Sim", "description": "A stand-in that counts.", "contextLength": context_tokens,
                    "maxTokens": 4096,
                },
                "features": ["openai/chat-completion"], "endpoints": ["/v1/chat/completions"],
            }),
            Self::A4f => {
                let name = if id.starts_with("sim/") { id } else { id.split_once('/').map_or(id, |(_, name)| name) };
                json!({ "id": format!("{A4F_PROVIDER}/{name}"), "type": "chat/completion", "features": [] })
            }
            Self::OpenAi => {
                let own = id.strip_prefix("openai/").or_else(|| id.starts_with("sim/").then_some(id))?;
                json!({ "id": own, "object": "model", "created": CREATED_AT_S, "owned_by": "system" })
            }
        })
    }

    /// What comes before and behind the joined entries.
    pub(super) fn around(self, count: usize) -> (&'static str, String) {
        match self {
            Self::Glama | Self::Aiml => ("[", "]".to_owned()),
            Self::OpenRouter => (r#"{"data":["#, format!(r#"],"total_count":{count}}}"#)),
            _ => (r#"{"object":"list","data":["#, "]}".to_owned()),
        }
    }

    /// A refusal: its content type and its body.
    pub(super) fn error(self, status: u16, message: &str) -> (&'static str, Vec<u8>) {
        let body = match self {
            Self::Aiml => {
                let problem = json!({ "type": "about:blank", "title": "Refused", "status": status, "detail": message });
                return ("application/problem+json", problem.to_string().into_bytes());
            }
            // Cloudflare stands before it.
            Self::Glama if status == 403 => {
                return ("text/html", b"<!DOCTYPE html>\n<title>Attention Required! | Cloudflare</title>\n".to_vec());
            }
            Self::Glama => return ("text/plain", message.as_bytes().to_vec()),
            Self::Portkey => json!({ "status": "failure", "message": message }),
            Self::Chutes | Self::A4f => json!({ "detail": message }),
            _ => return (reply::JSON, reply::error_body(status, message)),
        };
        (reply::JSON, body.to_string().into_bytes())
    }
}

fn chutes(model: &Model<'_>) -> Value {
    let usd_per_million = |line: &str| price(model, line).map(|price| price * 1e6 * 0.5);
    json!({
        "id": model.id, "object": "model", "created": CREATED_AT_S, "owned_by": "sglang", "context_length": model.context_tokens,
        "max_output_length": 4096, "input_modalities": if model.sees() { json!(["text", "image"]) } else { json!(["text"]) },
        "output_modalities": ["text"],
        "pricing": {
            "prompt": usd_per_million("prompt"), "completion": usd_per_million("completion"),
            "input_cache_read": usd_per_million("input_cache_read"),
        },
    })
}

fn requesty(model: &Model<'_>) -> Value {
    let usd = |line: &str| price(model, line).map_or(json!(0), |price| json!(price * 3.0));
    json!({
        "id": model.id, "object": "model", "created": CREATED_AT_S, "description": "A stand-in that counts.",
        "context_window": model.context_tokens, "max_output_tokens": 4096, "supports_vision": model.sees(), "supports_caching": false,
        "input_price": usd("prompt"), "output_price": usd("completion"),
        "cached_price": usd("input_cache_read"), "caching_price": usd("input_cache_write"),
    })
}

/// A price line as decimal text, or null.
fn text(model: &Model<'_>, line: &str, factor: f64) -> Value {
    price(model, line).map_or(Value::Null, |price| json!(format!("{:.15}", price * factor)))
}
