use super::*;
use chrono::{DateTime, Utc};
use proptest::prelude::*;

fn price(usd_per_token: &str) -> PricePerMillion {
    PricePerMillion::parse_usd_per_token(usd_per_token).expect("a price")
}

#[test]
fn a_price_is_read_and_shown_per_token() {
    assert_eq!(price("0.0000025").0, 2_500_000_000);
    assert_eq!(price("0.0000025").to_usd_per_token(), "0.0000025");
    assert_eq!(price("0").to_usd_per_token(), "0");
    assert_eq!(price("0.0000000000000019999").0, 1);
    assert!(price("-1").is_absurd());
    assert!(price("0.02").is_absurd());
    assert!(!price("0.01").is_absurd());
}

#[test]
fn each_class_of_tokens_is_charged_at_its_own_line() {
    let lines = PriceLines {
        prompt: price("0.000003"),
        completion: price("0.000015"),
        cache_read: Some(price("0.0000003")),
        cache_write: Some(price("0.00000375")),
        reasoning: Some(price("0.00002")),
        request: 1_000,
        image: 2_000,
    };
    let usage = TokenUsage { prompt: 100, completion: 50, cache_read: 40, cache_write: 20, reasoning: 10, images: 2 };
    // 40 x 3000 + 40 x 300 + 20 x 3750 + 40 x 15000 + 10 x 20000 + 1000 + 2 x 2000 nano-dollars.
    assert_eq!(lines.cost(&usage), Nanos(1_012_000));
}

#[test]
fn a_half_nano_rounds_up_and_less_rounds_down() {
    let lines = PriceLines::flat(PricePerMillion(500_000));
    assert_eq!(lines.cost(&TokenUsage { prompt: 1, ..TokenUsage::default() }), Nanos(1));
    let lines = PriceLines::flat(PricePerMillion(499_999));
    assert_eq!(lines.cost(&TokenUsage { prompt: 1, ..TokenUsage::default() }), Nanos(0));
}

fn any_lines() -> impl Strategy<Value = PriceLines> {
    let line = || (0..PricePerMillion::SANE_MAX.0).prop_map(PricePerMillion);
    (line(), line(), proptest::option::of(line()), proptest::option::of(line()), proptest::option::of(line()), 0..1_000_000i64)
        .prop_map(|(prompt, completion, cache_read, cache_write, reasoning, request)| PriceLines {
            prompt,
            completion,
            cache_read,
            cache_write,
            reasoning,
            request,
            image: 0,
        })
}

proptest! {
    #[test]
    fn no_usage_within_the_bounds_costs_more_than_the_worst_case(
        lines in any_lines(), prompt in 0..1_000_000i64, completion in 0..100_000i64, split in (0.0..1.0f64, 0.0..1.0f64)
    ) {
        #[expect(clippy::as_conversions, reason = "a random share of a random count")]
        let share = |whole: i64, part: f64| (whole as f64 * part) as i64;
        let cache_read = share(prompt, split.0);
        let usage = TokenUsage {
            prompt, completion, cache_read, cache_write: share(prompt - cache_read, split.1), reasoning: share(completion, split.1), images: 0,
        };
        prop_assert!(lines.cost(&usage) <= lines.worst_case(prompt, completion, 0));
    }

    #[test]
    fn what_is_called_affordable_is_affordable(lines in any_lines(), budget in 0..i64::MAX / 2, prompt in 0..100_000i64) {
        let tokens = lines.affordable_completion(Nanos(budget), prompt, 0);
        if tokens > 0 && tokens < i64::MAX {
            prop_assert!(lines.worst_case(prompt, tokens, 0).0 <= budget.saturating_add(1));
        }
    }
}

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-22T{time}:00Z").parse().expect("a time of day")
}

/// Gemini's and DeepSeek's ways at once: dearer above 200,000 tokens, cheaper at night.
fn tiered() -> PriceList {
    let long =
        PriceOverride { min_prompt_tokens: Some(200_000), prompt: Some(PricePerMillion(2_000_000)), ..PriceOverride::default() };
    let night = PriceOverride {
        window: DayWindow::parse("1630", "0030"),
        completion: Some(PricePerMillion(500_000)),
        ..PriceOverride::default()
    };
    PriceList { base: PriceLines::flat(PricePerMillion(1_000_000)), overrides: [long, night].into() }
}

#[test]
fn a_tier_counts_above_its_prompt_size_and_within_its_hours() {
    let cost =
        |prompt: i64, time: &str| tiered().cost(&TokenUsage { prompt, completion: 1_000, ..TokenUsage::default() }, at(time)).0;
    // Mutant: `>=` for the least size turns this red.
    assert_eq!(cost(200_000, "12:00"), 200_000 + 1_000);
    assert_eq!(cost(200_001, "12:00"), 400_002 + 1_000);
    for (time, completion) in [("16:29", 1_000), ("16:30", 500), ("23:59", 500), ("00:00", 500), ("00:29", 500), ("00:30", 1_000)]
    {
        assert_eq!(cost(1, time), 1 + completion, "{time}");
    }
    assert_eq!(cost(200_001, "17:00"), 400_002 + 500);
}
