//! What is remembered of a call: counters for the operator, a line for the user's activity page.

use super::job::Job;
use super::route::Offer;
use super::settle::{Charge, Ending, Received};
use serde::Serialize;
use std::time::Duration;
use tollgate_actors::activity::{ActivityRow, CHAT_COMPLETION, CallUse};
use tollgate_domain::{GatewayId, Nanos};

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

/// `details` of a `chat_completion` (`contract.md` A.7). No message text. In the order in which `jsonb` keeps keys, by length and
/// then by letters: what has to be sorted first takes PostgreSQL a third longer.
#[derive(Serialize)]
struct Details<'a> {
    app: &'static str,
    cost: Nanos,
    model: &'a str,
    /// Completion tokens per second.
    speed: f64,
    stream: bool,
    endpoint: &'static str,
    provider: &'static str,
    session_id: Option<i64>,
    tokens_used: i64,
    finish_reason: &'a str,
    generation_id: &'a str,
    /// The account's own: whose the one in the query is, nobody has proved.
    privy_user_id: Option<&'a str>,
    prompt_tokens: i64,
    completion_tokens: i64,
}

pub(super) fn activity(job: &Job, offer: &Offer, received: &Received, charge: &Charge, latency: Duration) -> ActivityRow {
    let model = offer.name(&job.request);
    let provider = provider_of(model);
    let details = Details {
        app: "API",
        cost: charge.cost,
        model,
        speed: speed(charge.usage.completion, latency),
        stream: job.request.stream,
        endpoint: "/v1/chat/completions",
        provider,
        session_id: job.query.session_id,
        tokens_used: charge.usage.total(),
        finish_reason: finish_reason(received),
        generation_id: job.generation.as_str(),
        privy_user_id: job.caller.privy_user_id.as_deref(),
        prompt_tokens: charge.usage.prompt,
        completion_tokens: charge.usage.completion,
    };
    ActivityRow {
        user: job.caller.user,
        action: CHAT_COMPLETION.into(),
        model: model.to_owned(),
        provider: provider.into(),
        details: serde_json::to_string(&details).unwrap_or_else(|_| "{}".to_owned()),
        at: job.services.clock.now(),
        call: Some(CallUse {
            key: job.caller.key,
            prompt_tokens: charge.usage.prompt,
            completion_tokens: charge.usage.completion,
            cost: charge.cost,
        }),
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "two decimals for a page")]
fn speed(tokens: i64, latency: Duration) -> f64 {
    let seconds = latency.as_secs_f64().max(0.001);
    (tokens as f64 / seconds * 100.0).round() / 100.0
}

/// The maker of a model, by the words in its name (`contract.md` A.7).
fn provider_of(model: &str) -> &'static str {
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

    #[test]
    #[expect(clippy::float_cmp, reason = "both are rounded to two decimals")]
    fn the_speed_is_finite_whatever_the_time() {
        assert_eq!(speed(10, Duration::from_secs(4)), 2.5);
        assert_eq!(speed(10, Duration::ZERO), 10_000.0);
    }
}
