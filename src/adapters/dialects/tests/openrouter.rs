use crate::adapters::dialects::openrouter::DIALECT;
use serde_json::{Value, json};
use tollgate_actors::ports::{CatalogModel, GatewayError};
use tollgate_domain::{GatewayId, PricePerMillion, RareLines};

/// The sample of OpenRouter's own specification.
fn gpt_4o() -> Value {
    json!({
        "id": "openai/gpt-4o", "canonical_slug": "openai/gpt-4o", "name": "OpenAI: GPT-4o", "created": 1_715_558_400,
        "context_length": 128_000,
        "architecture": {
            "modality": "text+image->text", "input_modalities": ["text", "image"], "output_modalities": ["text"],
            "tokenizer": "GPT", "instruct_type": null,
        },
        "pricing": {
            "prompt": "0.0000025", "completion": "0.00001", "request": "0", "image": "0.003613", "input_cache_read": "0.00000125",
        },
        "top_provider": {"context_length": 128_000, "max_completion_tokens": 16_384, "is_moderated": true},
        "per_request_limits": null, "supported_parameters": ["max_tokens", "tools", "tool_choice"], "default_parameters": null,
        "supported_voices": null, "links": {"details": "/api/v1/models/openai/gpt-4o/endpoints"},
    })
}

fn one(entry: Value) -> CatalogModel {
    let mut models: Vec<CatalogModel> = DIALECT.read(json!({"data": [entry]}).to_string().into()).unwrap().collect();
    assert_eq!(models.len(), 1);
    models.remove(0)
}

/// `gpt_4o` with its price list replaced.
fn priced(pricing: Value) -> CatalogModel {
    let mut entry = gpt_4o();
    entry["pricing"] = pricing;
    one(entry)
}

fn per_token(text: &str) -> PricePerMillion {
    PricePerMillion::parse_usd_per_token(text).unwrap()
}

#[test]
fn the_specifications_sample_becomes_a_model_and_its_public_entry() {
    let model = one(gpt_4o());
    assert_eq!((model.id.as_str(), model.gateway, model.context_length), ("openai/gpt-4o", GatewayId::OpenRouter, 128_000));
    assert_eq!(model.max_completion_tokens, Some(16_384));
    let prices = model.prices.unwrap().base;
    assert_eq!((prices.prompt, prices.completion), (per_token("0.0000025"), per_token("0.00001")));
    assert_eq!((prices.cache_read, prices.cache_write, prices.reasoning), (Some(per_token("0.00000125")), None, None));
    assert_eq!((prices.request, prices.image), (0, 3_613_000));
    let golden = json!({
        "id": "openai/gpt-4o",
        "canonical_slug": "openai/gpt-4o",
        "hugging_face_id": null,
        "name": "OpenAI: GPT-4o",
        "created": 1_715_558_400,
        "description": null,
        "context_length": 128_000,
        "architecture": gpt_4o()["architecture"],
        "pricing": {
            "prompt": "0.0000025", "completion": "0.00001", "request": "0", "image": "0.003613", "web_search": null,
            "internal_reasoning": null, "input_cache_read": "0.00000125",
        },
        "top_provider": gpt_4o()["top_provider"],
        "per_request_limits": null,
        "supported_parameters": ["max_tokens", "tools", "tool_choice"],
        "default_parameters": {},
        "provider_slug": "openai",
        "provider_site_url": "https://openai.com",
        "model_logo_url": "https://www.google.com/s2/favicons?domain=openai.com&sz=128",
        "source_gateway": "openrouter",
    });
    assert_eq!(serde_json::to_string(&model.public).unwrap(), golden.to_string());
}

#[test]
fn prices_are_read_as_text_as_numbers_and_with_exponents() {
    for price in [json!("0.0000025"), json!(0.000_002_5), json!("2.5e-6"), json!(" 0.0000025 ")] {
        let model = priced(json!({"prompt": price, "completion": "0"}));
        assert_eq!(model.prices.unwrap().base.prompt, per_token("0.0000025"), "{price}");
        assert_eq!(model.public["pricing"]["prompt"], "0.0000025", "{price}");
    }
}

#[test]
fn a_price_that_is_not_stated_or_no_number_is_unknown_and_shown_as_null() {
    let nonsense = [
        Value::Null,
        json!("free"),
        json!(""),
        json!("NaN"),
        json!("inf"),
        json!([1]),
        json!(true),
        json!("1.2.3"),
        json!("99999999999"),
    ];
    for price in nonsense {
        let model = priced(json!({"prompt": price, "completion": "0.00001"}));
        assert_eq!(model.prices, None, "{price}");
        assert_eq!(model.public["pricing"]["prompt"], Value::Null, "{price}");
    }
    assert_eq!(priced(json!({"completion": "0.1"})).prices, None);
    assert_eq!(priced(Value::Null).prices, None);
    assert_eq!(priced(json!({"prompt": "0", "completion": "0", "image": "many"})).prices, None);
}

#[test]
fn a_routers_negative_price_is_handed_on_to_be_judged_and_never_shown() {
    let model = priced(json!({"prompt": "-1", "completion": "-1"}));
    assert!(model.prices.unwrap().base.prompt.is_absurd());
    assert_eq!(model.public["pricing"]["prompt"], Value::Null);
    let model = priced(json!({"prompt": "3", "completion": "15"}));
    assert!(model.prices.unwrap().base.completion.is_absurd());
    assert_eq!(model.public["pricing"]["completion"], Value::Null);
}

#[test]
fn reasoning_at_zero_is_charged_as_completion() {
    let model = priced(json!({"prompt": "0.000001", "completion": "0.000002", "internal_reasoning": "0"}));
    // Mutant: without the filter reasoning is free, and this is red.
    assert_eq!(model.prices.unwrap().base.reasoning, None);
    assert_eq!(model.public["pricing"]["internal_reasoning"], "0");
}

#[test]
fn sounds_images_and_long_lived_caches_have_their_own_lines_where_they_are_stated() {
    let lines = |pricing: Value| priced(pricing).prices.map(|prices| prices.base.rare);
    let stated = json!({
        "prompt": "0.000001", "completion": "0.000002", "audio": "0.000003", "audio_output": "0.000004",
        "image_output": "0.000005", "input_cache_write_1h": "0.000006",
    });
    let expected = RareLines {
        audio: Some(per_token("0.000003")),
        audio_output: Some(per_token("0.000004")),
        image_output: Some(per_token("0.000005")),
        cache_write_1h: Some(per_token("0.000006")),
    };
    // Mutant: leaving them out turns this red.
    assert_eq!(lines(stated), Some(expected));
    assert_eq!(lines(json!({"prompt": "0.000001", "completion": "0", "audio": "0", "image_output": 0})), Some(RareLines::NONE));
    assert_eq!(lines(json!({"prompt": "0.000001", "completion": "0", "audio": "dear"})), None);
}

#[test]
fn a_fee_finer_than_a_nano_dollar_is_rounded_up() {
    let model = priced(json!({"prompt": "0", "completion": "0", "request": "0.0000000001"}));
    assert_eq!(model.prices.unwrap().base.request, 1);
}

#[test]
fn weird_entries_become_models_with_what_is_right_in_them() {
    let bare = one(json!({"id": "lonely"}));
    assert_eq!(bare.public["name"], "lonely");
    assert_eq!((bare.context_length, bare.max_completion_tokens, bare.prices), (0, None, None));
    for field in ["provider_slug", "provider_site_url", "model_logo_url", "created", "architecture", "top_provider"] {
        assert_eq!(bare.public[field], Value::Null, "{field}");
    }
    assert_eq!(bare.public["supported_parameters"], json!([]));
    let odd = one(json!({
        "id": "a/b/c:free", "name": "  ", "created": "yesterday", "context_length": -5, "architecture": "text", "pricing": [],
        "top_provider": {"max_completion_tokens": 0}, "supported_parameters": "all", "default_parameters": [], "description": 7,
    }));
    assert_eq!((odd.context_length, odd.max_completion_tokens, odd.prices), (0, None, None));
    assert_eq!((&odd.public["name"], &odd.public["provider_slug"]), (&json!("a/b/c:free"), &json!("a")));
    assert_eq!((&odd.public["created"], &odd.public["description"]), (&Value::Null, &Value::Null));
}

#[test]
fn entries_without_a_usable_id_are_left_out_and_the_rest_is_kept() {
    let ids = [json!(""), json!("  "), json!(7), Value::Null, json!("a\nb"), json!("x".repeat(257)), json!("good")];
    let data: Vec<Value> = ids.into_iter().map(|id| json!({"id": id})).chain([json!("text"), json!(null)]).collect();
    let models: Vec<CatalogModel> = DIALECT.read(json!({"data": data}).to_string().into()).unwrap().collect();
    assert_eq!(models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["good"]);
}

#[test]
fn what_is_no_list_is_malformed() {
    for body in ["", "<html>", "{}", r#"{"data": {}}"#, r#"{"data": null}"#, r#"{"data": [{"id": "openai/gp"#, "\u{0}"] {
        assert!(matches!(DIALECT.read(body.into()), Err(GatewayError::Malformed(_))), "{body:?}");
    }
}
