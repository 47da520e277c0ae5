use super::WORDS;
use crate::completion::facts::Facts;
use tollgate_domain::{Nanos, PriceLines, PricePerMillion};
use tollgate_fuzz::Fuzz;

const ANSWERS: [&str; 4] = [
    r#"{"id":"x","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hey","tool_calls":[]},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":20,"total_tokens":50,"prompt_tokens_details":{"cached_tokens":10,"cache_write_tokens":5},"completion_tokens_details":{"reasoning_tokens":7}}}"#,
    r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"}],"refusal":null,"audio":{"id":"b"}}},{"message":null}],"usage":null}"#,
    r#"{"usage":{"prompt_tokens":-5,"completion_tokens":1.5},"usage":{"prompt_tokens":1000000000000000000},"error":null}"#,
    r#"{"error":{"code":"429","message":"slow down","metadata":{}},"choices":[]}"#,
];

#[test]
fn fuzz_whatever_a_provider_counts_no_charge_is_negative_or_beyond_its_tokens() {
    let price = PriceLines { reasoning: Some(PricePerMillion(3)), ..PriceLines::flat(PricePerMillion(2_000_000_000)) };
    Fuzz::new("the usage reader").corpus(ANSWERS).words(WORDS).run(|json, _| {
        let Ok(facts) = Facts::read(json) else { return };
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(json).is_ok(), "what is read is JSON");
        assert!(facts.choices.content_bytes <= json.len() && facts.choices.finished <= facts.choices.count);
        let Some(reading) = facts.reading else { return };
        let usage = reading.usage;
        let parts = [usage.prompt, usage.completion, usage.cache_read, usage.cache_write, usage.reasoning];
        // Mutant: `parts_fit` without the clamping turns this red.
        assert!(parts.iter().all(|tokens| (0..=1_000_000_000_000_000).contains(tokens)), "{usage:?}");
        assert!(usage.cache_read + usage.cache_write <= usage.prompt && usage.reasoning <= usage.completion, "{usage:?}");
        let cost = price.cost(&usage);
        assert!((0..=usage.total().saturating_mul(2_000)).contains(&cost.0) || cost == Nanos(i64::MAX), "{cost:?} for {usage:?}");
    });
}
