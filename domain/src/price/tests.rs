use super::*;
use crate::usage::RareTokens;
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
        rare: RareLines::NONE,
    };
    let usage = TokenUsage {
        prompt: 100,
        completion: 50,
        cache_read: 40,
        cache_write: 20,
        reasoning: 10,
        images: 2,
        rare: RareTokens { audio: 5, audio_output: 6, image_output: 7, cache_write_1h: 8 },
    };
    // 40 x 3000 + 40 x 300 + 20 x 3750 + 40 x 15000 + 10 x 20000 + 1000 + 2 x 2000 nano-dollars.
    assert_eq!(lines.cost(&usage), Nanos(1_012_000), "a class without a line is charged as its whole");
    let with = |rare: RareLines| PriceLines { rare, ..lines }.cost(&usage).0 - 1_012_000;
    let dear = Some(price("0.0001"));
    assert_eq!(with(RareLines { audio: dear, ..RareLines::NONE }), 5 * (100_000 - 3_000));
    assert_eq!(with(RareLines { audio_output: dear, ..RareLines::NONE }), 6 * (100_000 - 15_000));
    assert_eq!(with(RareLines { image_output: dear, ..RareLines::NONE }), 7 * (100_000 - 15_000));
    assert_eq!(with(RareLines { cache_write_1h: dear, ..RareLines::NONE }), 8 * (100_000 - 3_750));
}

#[test]
fn a_half_nano_rounds_up_and_less_rounds_down() {
    let lines = PriceLines::flat(PricePerMillion(500_000));
    assert_eq!(lines.cost(&TokenUsage { prompt: 1, ..TokenUsage::default() }), Nanos(1));
    let lines = PriceLines::flat(PricePerMillion(499_999));
    assert_eq!(lines.cost(&TokenUsage { prompt: 1, ..TokenUsage::default() }), Nanos(0));
}

fn any_line() -> impl Strategy<Value = PricePerMillion> {
    (0..PricePerMillion::SANE_MAX.0).prop_map(PricePerMillion)
}

fn any_rare_lines() -> impl Strategy<Value = RareLines> {
    let line = || proptest::option::of(any_line());
    [line(), line(), line(), line()].prop_map(|[audio, audio_output, image_output, cache_write_1h]| RareLines {
        audio,
        audio_output,
        image_output,
        cache_write_1h,
    })
}

fn any_lines() -> impl Strategy<Value = PriceLines> {
    let own = || proptest::option::of(any_line());
    (any_line(), any_line(), own(), own(), own(), 0..1_000_000i64, any_rare_lines()).prop_map(
        |(prompt, completion, cache_read, cache_write, reasoning, request, rare)| PriceLines {
            prompt,
            completion,
            cache_read,
            cache_write,
            reasoning,
            request,
            image: 0,
            rare,
        },
    )
}

/// Counts that are cut to what is left of their wholes.
fn any_rare_tokens() -> impl Strategy<Value = RareTokens> {
    let count = || 0..50_000i64;
    [count(), count(), count(), count()].prop_map(|[audio, audio_output, image_output, cache_write_1h]| RareTokens {
        audio,
        audio_output,
        image_output,
        cache_write_1h,
    })
}

proptest! {
    #[test]
    fn no_usage_within_the_bounds_costs_more_than_the_worst_case(
        lines in any_lines(), prompt in 0..1_000_000i64, completion in 0..100_000i64, split in (0.0..1.0f64, 0.0..1.0f64),
        rare in any_rare_tokens()
    ) {
        #[expect(clippy::as_conversions, reason = "a random share of a random count")]
        let share = |whole: i64, part: f64| (whole as f64 * part) as i64;
        let cache_read = share(prompt, split.0);
        let usage = TokenUsage {
            prompt, completion, cache_read, cache_write: share(prompt - cache_read, split.1), reasoning: share(completion, split.1), images: 0,
            rare,
        };
        let usage = usage.with_parts_cut();
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

#[test]
fn later_tiers_win_line_by_line_and_what_they_leave_out_stays() {
    let tier = |prompt: i64, completion: Option<i64>| PriceOverride {
        prompt: Some(PricePerMillion(prompt)),
        completion: completion.map(PricePerMillion),
        ..PriceOverride::default()
    };
    let base = PriceLines { cache_read: Some(PricePerMillion(7)), ..PriceLines::flat(PricePerMillion(1)) };
    let list = PriceList { base, overrides: [tier(2, Some(20)), tier(3, None)].into() };
    let expected = PriceLines { prompt: PricePerMillion(3), completion: PricePerMillion(20), ..base };
    assert_eq!(list.lines(0, at("12:00")), expected);
}

#[test]
fn windows_are_read_as_four_digits_and_may_span_midnight_or_the_day() {
    let holds = |start: &str, end: &str, time: &str| DayWindow::parse(start, end).map(|window| window.contains(at(time)));
    assert_eq!(holds("0000", "2400", "23:59"), Some(true));
    assert_eq!(holds("22:00", "0600", "05:59"), Some(true));
    assert_eq!(holds("2200", "600", "06:00"), Some(false));
    assert_eq!(holds("900", "1700", "08:59"), Some(false));
    for wrong in ["", "x", "2401", "1260", "-100", "12345", "99999"] {
        assert_eq!(DayWindow::parse(wrong, "0000"), None, "{wrong}");
    }
}

#[test]
fn each_line_and_each_tier_is_in_the_worst_case() {
    let micro = |nanos: i64| Some(PricePerMillion(nanos * 1_000_000));
    let base = PriceLines::flat(PricePerMillion(1_000_000));
    let worst =
        |lines: PriceLines, tiers: &[PriceOverride]| PriceList { base: lines, overrides: tiers.into() }.worst_case(100, 10, 2).0;
    assert_eq!(worst(base, &[]), 110);
    assert_eq!(worst(PriceLines { cache_read: micro(2), ..base }, &[]), 210);
    assert_eq!(worst(PriceLines { cache_write: micro(3), ..base }, &[]), 310);
    assert_eq!(worst(PriceLines { reasoning: micro(4), ..base }, &[]), 140);
    let rare = |rare: RareLines| worst(PriceLines { rare, ..base }, &[]);
    assert_eq!(rare(RareLines { audio: micro(5), ..RareLines::NONE }), 510);
    assert_eq!(rare(RareLines { cache_write_1h: micro(6), ..RareLines::NONE }), 610);
    assert_eq!(rare(RareLines { audio_output: micro(7), ..RareLines::NONE }), 170);
    assert_eq!(rare(RareLines { image_output: micro(8), ..RareLines::NONE }), 180);
    let sound = PriceOverride { rare: RareLines { audio: micro(9), ..RareLines::NONE }, ..PriceOverride::default() };
    assert_eq!(worst(base, &[sound]), 910);
    assert_eq!(worst(PriceLines { request: 5, ..base }, &[]), 115);
    assert_eq!(worst(PriceLines { image: 6, ..base }, &[]), 122);
    let tier = PriceOverride { prompt: micro(9), ..PriceOverride::default() };
    assert_eq!(worst(base, &[PriceOverride { min_prompt_tokens: Some(99), ..tier }]), 910);
    assert_eq!(worst(base, &[PriceOverride { min_prompt_tokens: Some(100), ..tier }]), 110, "no prompt of that size meets it");
    assert_eq!(worst(base, &[PriceOverride { window: DayWindow::parse("0300", "0301"), ..tier }]), 910);
    // A tier that is cheaper lowers nothing: a smaller prompt does not meet it.
    let cheaper = PriceOverride { prompt: Some(PricePerMillion(0)), min_prompt_tokens: Some(50), ..PriceOverride::default() };
    assert_eq!(worst(base, &[cheaper]), 110);
    let caches = PriceOverride {
        cache_write: micro(8),
        reasoning: micro(7),
        request: Some(1),
        image: Some(1),
        ..PriceOverride::default()
    };
    assert_eq!(worst(base, &[caches]), 100 * 8 + 10 * 7 + 1 + 2);
}

#[test]
fn a_list_saved_before_there_were_tiers_is_read_and_one_without_tiers_is_written_as_before() {
    let lines = PriceLines { cache_read: Some(PricePerMillion(3)), ..PriceLines::flat(PricePerMillion(5)) };
    let old = serde_json::to_string(&lines).unwrap();
    assert_eq!(serde_json::from_str::<PriceList>(&old).unwrap(), lines.into());
    assert_eq!(serde_json::to_string(&PriceList::from(lines)).unwrap(), old);
    let new = serde_json::to_string(&tiered()).unwrap();
    assert_eq!(serde_json::from_str::<PriceList>(&new).unwrap(), tiered());
}

fn any_tier() -> impl Strategy<Value = PriceOverride> {
    let line = || proptest::option::of((0..PricePerMillion::SANE_MAX.0).prop_map(PricePerMillion));
    let fee = || proptest::option::of(0..1_000_000i64);
    let window = proptest::option::of((0..1_440u16, 0..1_440u16).prop_map(|(start, end)| DayWindow { start, end }));
    let lines = [line(), line(), line(), line(), line()];
    (proptest::option::of(0..1_000_000i64), window, lines, fee(), fee(), any_rare_lines()).prop_map(
        |(min_prompt_tokens, window, [prompt, completion, cache_read, cache_write, reasoning], request, image, rare)| {
            PriceOverride {
                min_prompt_tokens,
                window,
                prompt,
                completion,
                cache_read,
                cache_write,
                reasoning,
                request,
                image,
                rare,
            }
        },
    )
}

fn any_list() -> impl Strategy<Value = PriceList> {
    (any_lines(), proptest::collection::vec(any_tier(), 0..4))
        .prop_map(|(base, overrides)| PriceList { base, overrides: overrides.into() })
}

proptest! {
    /// Mutant: leaving the tiers out of the worst case turns this red.
    #[test]
    fn no_usage_within_the_bounds_costs_more_than_the_worst_case_of_all_tiers(
        list in any_list(), bounds in (0..1_000_000i64, 0..100_000i64), used in (0.0..=1.0f64, 0.0..=1.0f64),
        split in (0.0..=1.0f64, 0.0..=1.0f64, 0.0..=1.0f64), images in 0..5i64, minute in 0..1_440i64, rare in any_rare_tokens()
    ) {
        #[expect(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a random share of a random count")]
        let share = |whole: i64, part: f64| (whole as f64 * part) as i64;
        let (prompt, completion) = (share(bounds.0, used.0), share(bounds.1, used.1));
        let cache_read = share(prompt, split.0);
        let usage = TokenUsage {
            prompt, completion, cache_read, cache_write: share(prompt - cache_read, split.1),
            reasoning: share(completion, split.2), images, rare,
        };
        let usage = usage.with_parts_cut();
        let at = DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(minute);
        prop_assert!(list.cost(&usage, at) <= list.worst_case(bounds.0, bounds.1, images));
    }

    #[test]
    fn what_a_tiered_list_calls_affordable_is_affordable(list in any_list(), budget in 0..i64::MAX / 2, prompt in 0..100_000i64) {
        let tokens = list.affordable_completion(Nanos(budget), prompt, 0);
        if tokens > 0 && tokens < i64::MAX {
            prop_assert!(list.worst_case(prompt, tokens, 0).0 <= budget.saturating_add(1));
        }
    }
}
