//! The usage object: the truth, or what the behaviour makes of it.

use super::behaviour::{UsageDetails, UsageReport};
use serde_json::{Value, json};

/// Above any model's context length.
const ABSURD_TOKENS: i64 = 1_000_000_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub prompt: i64,
    pub completion: i64,
    pub details: UsageDetails,
}

impl Usage {
    pub fn report(prompt: u64, completion: u64, report: UsageReport, details: UsageDetails) -> Self {
        let (prompt, completion) = match report {
            UsageReport::Negative => (-5, -7),
            UsageReport::Absurd => (ABSURD_TOKENS, ABSURD_TOKENS),
            UsageReport::Exact { prompt, completion } => (signed(prompt), signed(completion)),
            UsageReport::Honest | UsageReport::Missing | UsageReport::Twice => (signed(prompt), signed(completion)),
        };
        Self { prompt, completion, details }
    }

    /// OpenAI's object as JSON text; with a cost, OpenRouter's.
    pub fn to_json(self, cost_usd: Option<f64>) -> String {
        let Self { prompt, completion, details } = self;
        if cost_usd.is_none() && details == UsageDetails::default() {
            // The hot path: no tree is built.
            let total = prompt.saturating_add(completion);
            return format!(
                r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#
            );
        }
        self.tree(cost_usd).to_string()
    }

    fn tree(self, cost_usd: Option<f64>) -> Value {
        let Self { prompt, completion, details } = self;
        let mut usage = json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt.saturating_add(completion),
            "prompt_tokens_details": {
                "cached_tokens": details.cached, "cache_write_tokens": details.cache_write, "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": details.reasoning, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        });
        if let (Some(cost), Some(usage)) = (cost_usd, usage.as_object_mut()) {
            usage.insert("cost".to_owned(), json!(cost));
            usage.insert("is_byok".to_owned(), json!(false));
            usage.insert("cost_details".to_owned(), json!({ "upstream_inference_cost": null }));
        }
        usage
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
