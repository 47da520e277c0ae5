//! OpenRouter's `pricing.overrides`.

use super::*;
use tollgate_domain::{DayWindow, PriceList, PriceOverride, RareLines};

fn priced(overrides: Value) -> Option<PriceList> {
    let pricing = json!({"prompt": "0.00000125", "completion": "0.00001", "overrides": overrides});
    one(GatewayId::OpenRouter, json!({"id": "google/gemini-2.5-pro", "pricing": pricing})).prices
}

#[test]
fn tiers_are_read_with_their_conditions_and_their_prices() {
    let prices = priced(json!([
        {
            "min_prompt_tokens": 200_000, "prompt": "0.0000025", "completion": 0.000_015, "input_cache_read": "0.000000625",
            "audio": "0.000002", "image_output": "0",
        },
        {"utc_start": "1630", "utc_end": 30, "prompt": "0.0000006", "internal_reasoning": "0", "request": "0.001"},
    ]))
    .unwrap();
    let long = PriceOverride {
        min_prompt_tokens: Some(200_000),
        prompt: Some(per_token("0.0000025")),
        completion: Some(per_token("0.000015")),
        cache_read: Some(per_token("0.000000625")),
        rare: RareLines { audio: Some(per_token("0.000002")), ..RareLines::NONE },
        ..PriceOverride::default()
    };
    let night = PriceOverride {
        window: Some(DayWindow { start: 16 * 60 + 30, end: 30 }),
        prompt: Some(per_token("0.0000006")),
        request: Some(1_000_000),
        ..PriceOverride::default()
    };
    assert_eq!(*prices.overrides, [long, night]);
}

#[test]
fn a_tier_that_cannot_be_understood_makes_the_price_unknown() {
    for tier in [
        json!("cheap"),
        json!({"min_prompt_tokens": "many"}),
        json!({"utc_start": "1630"}),
        json!({"utc_start": "2560", "utc_end": "0100"}),
        json!({"utc_start": "1661", "utc_end": "0100"}),
        json!({"min_prompt_tokens": 1, "prompt": "free"}),
        // A condition that came after this was written.
        json!({"max_completion_tokens": 1_000, "prompt": "0"}),
    ] {
        // Mutant: leaving such tiers out turns this red.
        assert_eq!(priced(json!([tier])), None, "{tier}");
    }
    assert_eq!(priced(json!([])).unwrap().overrides.len(), 0);
    assert_eq!(priced(Value::Null).unwrap().overrides.len(), 0);
}
