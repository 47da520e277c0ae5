//! What is remembered of a call: counters for the operator, words of its usage record.

use super::settle::{Charge, Ending, Received};
use tollgate_domain::GatewayId;

/// Counts what a provider did oddly; an operator should know whose bill can't be trusted.
pub(super) fn count(gateway: GatewayId, received: &Received, charge: Option<&Charge>) {
    let gateway = gateway.as_str();
    if received.readings > 1 {
        metrics::counter!("tollgate_usage_repeated_total", "gateway" => gateway).increment(1);
    }
    match charge {
        None => metrics::counter!("tollgate_empty_answers_total", "gateway" => gateway).increment(1),
        Some(charge) if charge.absurd => {
            tracing::warn!(gateway, reading = ?received.reading, charged = ?charge.usage, "absurd usage was clamped");
            metrics::counter!("tollgate_usage_absurd_total", "gateway" => gateway).increment(1);
        }
        Some(charge) if charge.estimated => {
            metrics::counter!("tollgate_usage_estimated_total", "gateway" => gateway).increment(1);
        }
        Some(_) => {}
    }
}

/// Why the answer ended, for the records.
pub(super) fn finish_reason(received: &Received) -> &str {
    match received.ending {
        Ending::Whole => received.finish_reason.as_deref().unwrap_or("unknown"),
        Ending::Broken => "error",
        Ending::Abandoned => "client_gone",
    }
}

/// The maker of a model, by the words in its name (`contract.md` A.7).
pub(super) fn provider_of(model: &str) -> &'static str {
    const MAKERS: [(&str, &str); 13] = [
        ("gpt", "OpenAI"),
        ("openai", "OpenAI"),
        ("claude", "Anthropic"),
        ("anthropic", "Anthropic"),
        ("gemini", "Google"),
        ("palm", "Google"),
        ("bard", "Google"),
        ("llama", "Meta"),
        ("meta", "Meta"),
        ("mistral", "Mistral AI"),
        ("qwen", "Alibaba"),
        ("deepseek", "DeepSeek"),
        ("mixtral", "Mistral AI"),
    ];
    let model = model.to_ascii_lowercase();
    MAKERS.iter().find(|(word, _)| model.contains(word)).map_or("Other", |(_, maker)| maker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maker_is_told_from_the_models_name() {
        for (model, maker) in [
            ("openai/gpt-4o", "OpenAI"),
            ("anthropic/Claude-3", "Anthropic"),
            ("google/gemini-2", "Google"),
            ("meta-llama/x", "Meta"),
            ("qwen/q", "Alibaba"),
            ("sim/fast", "Other"),
        ] {
            assert_eq!(provider_of(model), maker, "{model}");
        }
    }
}
