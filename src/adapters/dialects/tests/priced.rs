//! Chutes, Glama, Requesty: lists with prices, each in its own names and units.

use super::*;
use tollgate_domain::PriceLines;

#[test]
fn chutes_prices_are_dollars_for_a_million_tokens() {
    let entry = json!({
        "id": "Qwen/Qwen3-32B-TEE", "object": "model", "created": 1_784_718_720, "owned_by": "sglang", "context_length": 40_960,
        "max_model_len": 40_960, "max_output_length": 40_960, "input_modalities": ["text", "image"], "output_modalities": ["text"],
        "price": {"input": {"usd": 0.104, "tao": 0.0005}, "output": {"usd": 0.416, "tao": 0.002}},
        "pricing": {"prompt": 0.104, "completion": 0.416, "input_cache_read": 0.052}, "root": "Qwen/Qwen3-32B-FP8",
    });
    let model = one(GatewayId::Chutes, entry.clone());
    let prices = PriceLines {
        completion: per_token("0.000000416"),
        cache_read: Some(per_token("0.000000052")),
        ..PriceLines::flat(per_token("0.000000104"))
    };
    // Mutant: reading them as dollars per token makes them absurd.
    assert_eq!(model.prices, Some(prices.into()));
    assert_eq!((model.context_length, model.max_completion_tokens), (40_960, Some(40_960)));
    let golden = golden(
        GatewayId::Chutes,
        json!({
            "id": "Qwen/Qwen3-32B-TEE", "slug": "Qwen/Qwen3-32B-TEE", "canonical_slug": "Qwen/Qwen3-32B-TEE", "name": "Qwen3 32B Tee",
            "created": 1_784_718_720, "description": "Chutes catalog entry for Qwen/Qwen3-32B-TEE.", "context_length": 40_960,
            "architecture": {
                "modality": "text+image->text", "input_modalities": ["text", "image"], "output_modalities": ["text"],
                "tokenizer": null, "instruct_type": null,
            },
            "pricing": {
                "prompt": "0.000000104", "completion": "0.000000416", "request": null, "image": null, "web_search": null,
                "internal_reasoning": null, "input_cache_read": "0.000000052",
            },
            "provider_slug": "Qwen",
        }),
    );
    assert_eq!(model.public, golden);
    let priced = |change: fn(&mut Value)| {
        let mut entry = entry.clone();
        change(&mut entry);
        one(GatewayId::Chutes, entry).prices.map(|prices| prices.base)
    };
    let without_caches = PriceLines { cache_read: None, ..prices };
    assert_eq!(priced(|entry| drop(entry.as_object_mut().unwrap().remove("pricing"))), Some(without_caches));
    assert_eq!(priced(|entry| entry["pricing"] = json!({"prompt": "0.104", "completion": "0.416"})), Some(without_caches));
    // Should the unit ever change to dollars per token, that is no price of a millionth.
    assert!(priced(|entry| entry["pricing"]["prompt"] = json!("0.000000104")).unwrap().prompt.is_absurd());
    assert_eq!(priced(|entry| entry["output_modalities"] = json!(["text", "image"])), Some(prices));
}

#[test]
fn a_chute_that_does_not_write_is_no_chat_model() {
    assert_eq!(read(GatewayId::Chutes, &json!([{"id": "black-forest-labs/FLUX", "output_modalities": ["image"]}])), []);
}

#[test]
fn glamas_bare_array_has_decimal_texts_and_nulls() {
    let list = json!([
        {
            "added": "2024-09-24T16:00:00.000Z", "id": "google-vertex/gemini-1.5-flash-002",
            "capabilities": ["caching", "function_calling", "input:image"], "maxTokensInput": 1_048_576, "maxTokensOutput": 8_192,
            "pricePerToken": {"input": "0.000000075", "output": "0.0000003", "cacheRead": "0.00000001875", "cacheWrite": null},
        },
        {"id": "x/unpriced", "pricePerToken": {"input": null, "output": null}},
    ]);
    let models = read(GatewayId::Glama, &list);
    let prices = PriceLines {
        completion: per_token("0.0000003"),
        cache_read: Some(per_token("0.00000001875")),
        ..PriceLines::flat(per_token("0.000000075"))
    };
    assert_eq!((&models[0].prices, &models[1].prices), (&Some(prices.into()), &None));
    assert_eq!((models[0].context_length, models[0].max_completion_tokens), (1_048_576, Some(8_192)));
    let id = "google-vertex/gemini-1.5-flash-002";
    let golden = golden(
        GatewayId::Glama,
        json!({
            "id": id, "slug": id, "canonical_slug": id, "name": "Gemini 1.5 Flash 002", "created": 1_727_193_600,
            "description": "Glama catalog entry for google-vertex/gemini-1.5-flash-002.", "context_length": 1_048_576,
            "architecture": {
                "modality": "text+image->text", "input_modalities": ["text", "image"], "output_modalities": ["text"],
                "tokenizer": null, "instruct_type": null,
            },
            "pricing": {
                "prompt": "0.000000075", "completion": "0.0000003", "request": null, "image": null, "web_search": null,
                "internal_reasoning": null, "input_cache_read": "0.00000001875",
            },
            "provider_slug": "google-vertex",
        }),
    );
    assert_eq!(models[0].public, golden);
}

#[test]
fn glamas_list_stands_beside_the_door_for_openais_clients() {
    let path = Dialect::of(GatewayId::Glama).unwrap().list_path;
    assert_eq!((path("/api/gateway/openai/v1/"), path("/v1/")), ("../../v1/models", "models"));
}

/// The numbers of Claude 3.5 Sonnet.
fn requesty() -> Value {
    json!({
        "id": "anthropic/claude-3-5-sonnet-latest", "object": "model", "created": 1_727_000_000, "description": "A model that writes.",
        "max_output_tokens": 8_192, "context_window": 200_000, "supports_caching": true, "supports_vision": true,
        "supports_reasoning": false, "input_price": 3e-6, "output_price": 0.000_015, "caching_price": 3.75e-6, "cached_price": 3e-7,
    })
}

#[test]
fn requesty_writes_at_its_caching_price_and_reads_at_its_cached_price() {
    let model = one(GatewayId::Requesty, requesty());
    let prices = PriceLines {
        completion: per_token("0.000015"),
        cache_read: Some(per_token("0.0000003")),
        cache_write: Some(per_token("0.00000375")),
        ..PriceLines::flat(per_token("0.000003"))
    };
    assert_eq!(model.prices, Some(prices.into()));
    assert_eq!((model.context_length, model.max_completion_tokens), (200_000, Some(8_192)));
    assert_eq!(model.public["description"], "A model that writes.");
    assert_eq!(model.public["name"], "Claude 3 5 Sonnet Latest");
    assert_eq!(
        model.public["pricing"],
        json!({
            "prompt": "0.000003", "completion": "0.000015", "request": null, "image": null, "web_search": null,
            "internal_reasoning": null, "input_cache_read": "0.0000003", "input_cache_write": "0.00000375",
        })
    );
}

#[test]
fn a_cache_price_of_zero_is_none_and_does_not_give_cached_tokens_away() {
    let mut entry = requesty();
    for price in ["caching_price", "cached_price"] {
        entry[price] = json!(0);
    }
    let prices = one(GatewayId::Requesty, entry).prices.unwrap().base;
    // Mutant: without `own_line` cached tokens are free.
    assert_eq!((prices.cache_read, prices.cache_write), (None, None));
    let free = json!({"id": "a/free", "input_price": 0, "output_price": 0});
    assert!(one(GatewayId::Requesty, free).prices.unwrap().is_free());
    assert_eq!(one(GatewayId::Requesty, json!({"id": "a/b", "input_price": 0.1})).prices, None);
}
