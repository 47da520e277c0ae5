//! The list of models. Prices are as OpenRouter writes them: decimal text, dollars per single token (`request` and `image`
//! per piece).

use super::behaviour::Behaviour;
use super::format::GatewayFormat;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Released at this second; nothing of the stand-in tells the time of day.
pub(super) const CREATED_AT_S: u64 = 1_715_558_400;

type PriceLine = (&'static str, &'static str);

#[derive(Clone, Copy)]
pub(super) struct Model<'a> {
    pub id: &'a str,
    pub context_tokens: u64,
    prices: &'static [PriceLine],
}

const fn model<'a>(id: &'a str, context_tokens: u64, prices: &'static [PriceLine]) -> Model<'a> {
    Model { id, context_tokens, prices }
}

/// Ids that real catalogues have. The prices look real; that they are is nobody's promise.
const MODELS: &[Model<'static>] = &[
    model(
        "openai/gpt-4o",
        128_000,
        &[("prompt", "0.0000025"), ("completion", "0.00001"), ("image", "0.003613"), ("input_cache_read", "0.00000125")],
    ),
    model(
        "openai/gpt-4o-mini",
        128_000,
        &[("prompt", "0.00000015"), ("completion", "0.0000006"), ("image", "0.000217"), ("input_cache_read", "0.000000075")],
    ),
    model("openai/gpt-4.1-mini", 1_047_576, &[("prompt", "0.0000004"), ("completion", "0.0000016")]),
    model("openai/gpt-3.5-turbo", 16_385, &[("prompt", "0.0000005"), ("completion", "0.0000015")]),
    // Has every price line that there is.
    model(
        "anthropic/claude-3.5-sonnet",
        200_000,
        &[
            ("prompt", "0.000003"),
            ("completion", "0.000015"),
            ("request", "0.0001"),
            ("image", "0.0048"),
            ("internal_reasoning", "0.00002"),
            ("input_cache_read", "0.0000003"),
            ("input_cache_write", "0.00000375"),
        ],
    ),
    model("anthropic/claude-3.5-haiku", 200_000, &[("prompt", "0.0000008"), ("completion", "0.000004")]),
    model("deepseek/deepseek-r1-0528", 163_840, &[("prompt", "0.0000005"), ("completion", "0.00000215")]),
    model("deepseek/deepseek-chat-v3-0324", 163_840, &[("prompt", "0.00000028"), ("completion", "0.00000088")]),
    model("meta-llama/llama-3.1-8b-instruct", 131_072, &[("prompt", "0.00000002"), ("completion", "0.00000003")]),
    model("meta-llama/llama-3.1-70b-instruct", 131_072, &[("prompt", "0.0000001"), ("completion", "0.00000028")]),
    model("meta-llama/llama-3.1-8b-instruct:free", 131_072, &[("prompt", "0"), ("completion", "0")]),
    model("mistralai/mistral-nemo", 131_072, &[("prompt", "0.00000001"), ("completion", "0.00000003")]),
    model("mistralai/mistral-large-2411", 131_072, &[("prompt", "0.000002"), ("completion", "0.000006")]),
    model("mistralai/mixtral-8x22b-instruct", 65_536, &[("prompt", "0.0000009"), ("completion", "0.0000009")]),
    model("google/gemini-2.0-flash-001", 1_048_576, &[("prompt", "0.0000001"), ("completion", "0.0000004")]),
    model("google/gemma-2-9b-it", 8_192, &[("prompt", "0.00000003"), ("completion", "0.00000009")]),
    model("qwen/qwen-2.5-72b-instruct", 32_768, &[("prompt", "0.00000012"), ("completion", "0.00000039")]),
    model("qwen/qwen3-235b-a22b", 131_072, &[("prompt", "0.00000014"), ("completion", "0.0000006")]),
    model("cohere/command-r-plus-08-2024", 128_000, &[("prompt", "0.0000025"), ("completion", "0.00001")]),
    model("perplexity/sonar", 127_072, &[("prompt", "0.000001"), ("completion", "0.000001"), ("request", "0.005")]),
    model("x-ai/grok-3-mini", 131_072, &[("prompt", "0.0000003"), ("completion", "0.0000005")]),
    model("microsoft/phi-4", 16_384, &[("prompt", "0.00000006"), ("completion", "0.00000014")]),
    model("nvidia/llama-3.1-nemotron-70b-instruct", 131_072, &[("prompt", "0.00000012"), ("completion", "0.0000003")]),
    // A router: what it costs depends on where it goes.
    model("openrouter/auto", 2_000_000, &[("prompt", "-1"), ("completion", "-1")]),
    // Somebody mixed up tokens and millions of tokens.
    model("absurd/priced-per-million", 32_768, &[("prompt", "3"), ("completion", "15")]),
    // 100 completion tokens are $0.10 to the last nano-dollar.
    model("sim/dime", 32_768, &[("prompt", "0"), ("completion", "0.001")]),
];

const SIM_PRICES: &[PriceLine] = &[("prompt", "0.000001"), ("completion", "0.000002")];
const SIM_CONTEXT_TOKENS: u64 = 32_768;

pub(super) struct Catalogue {
    extra_models: usize,
    list: Bytes,
    prices: HashMap<&'static str, (f64, f64)>,
}

impl Catalogue {
    /// `extra_models` generated entries come after the named ones, for a list as long as the longest real one.
    pub fn new(format: GatewayFormat, extra_models: usize) -> Self {
        let line = |model: &Model<'_>, line: &str| price(model, line).unwrap_or(0.0);
        let prices = MODELS.iter().map(|model| (model.id, (line(model, "prompt"), line(model, "completion")))).collect();
        Self { extra_models, list: list(format, extra_models), prices }
    }

    /// The body of `GET /models`.
    pub fn list(&self) -> Bytes {
        self.list.clone()
    }

    /// The same models in another gateway's format.
    pub fn list_as(&self, format: GatewayFormat) -> Bytes {
        list(format, self.extra_models)
    }

    /// What OpenRouter would state as `cost`, in dollars, from the prompt's and the completion's price lines alone.
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a stated cost is a rounded number in JSON anyway")]
    pub fn cost_usd(&self, model: &str, prompt_tokens: i64, completion_tokens: i64) -> f64 {
        let (prompt, completion) = self.prices.get(model).copied().unwrap_or((0.000_001, 0.000_002));
        prompt.mul_add(prompt_tokens as f64, completion * completion_tokens as f64)
    }
}

fn list(format: GatewayFormat, extra_models: usize) -> Bytes {
    let words = Behaviour::oddities().into_iter().chain(Behaviour::faults()).map(|(word, _)| format!("sim/{word}"));
    let told: Vec<String> = words.chain(["sim/delay-50".to_owned()]).collect();
    let extra = (0..extra_models).map(|number| format!("extra/model-{number:05}"));
    let made = told.into_iter().chain(extra).map(|id| format.entry(&model(&id, SIM_CONTEXT_TOKENS, SIM_PRICES)));
    // Entry by entry: a tree of 22,000 would be far larger than its text.
    let (mut joined, mut count) = (String::new(), 0_usize);
    for entry in MODELS.iter().map(|model| format.entry(model)).chain(made).flatten() {
        joined.push_str(if count == 0 { "" } else { "," });
        joined.push_str(&entry.to_string());
        count += 1;
    }
    let (before, behind) = format.around(count);
    Bytes::from([before, &joined, &behind].concat())
}

/// A price line in dollars, if the model has it.
pub(super) fn price(model: &Model<'_>, line: &str) -> Option<f64> {
    model.prices.iter().find(|(name, _)| *name == line).and_then(|(_, price)| price.parse().ok())
}

impl Model<'_> {
    pub fn sees(&self) -> bool {
        self.prices.iter().any(|(line, _)| *line == "image")
    }

    pub fn openrouter_entry(&self) -> Value {
        let Self { id, context_tokens, prices } = *self;
        let sees = self.sees();
        let inputs: &[&str] = if sees { &["text", "image"] } else { &["text"] };
        let (slug, _) = id.split_once(':').unwrap_or((id, ""));
        json!({
            "id": id,
            "canonical_slug": slug,
            "name": id,
            "created": CREATED_AT_S,
            "description": "A stand-in that counts.",
            "context_length": context_tokens,
            "architecture": {
                "modality": if sees { "text+image->text" } else { "text->text" },
                "input_modalities": inputs,
                "output_modalities": ["text"],
                "tokenizer": "Other",
                "instruct_type": null,
            },
            "pricing": prices.iter().map(|(line, price)| ((*line).to_owned(), json!(price))).collect::<serde_json::Map<_, _>>(),
            "top_provider": { "context_length": context_tokens, "max_completion_tokens": 4096, "is_moderated": false },
            "per_request_limits": null,
            "supported_parameters": ["max_tokens", "tools", "tool_choice", "response_format", "logprobs"],
            "default_parameters": null,
            "supported_voices": null,
            "links": { "details": format!("/api/v1/models/{slug}/endpoints") },
        })
    }
}
