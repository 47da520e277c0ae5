//! Lists, normalised as `contract.md` A.1 says.

use super::*;
use serde_json::{Map, Value, json};

/// The entry of `openai/gpt-4o-mini`, as far as gateways do not differ.
fn golden(gateway: GatewayId, fields: Value) -> Map<String, Value> {
    let id = model_at(gateway, "openai/gpt-4o-mini");
    let mut entry = json!({
        "id": id,
        "slug": id,
        "canonical_slug": id,
        "hugging_face_id": null,
        "name": "Gpt 4O Mini",
        "created": 1_715_558_400,
        "description": format!("{} catalog entry for {id}.", label(gateway)),
        "context_length": 128_000,
        "architecture": {
            "modality": "text->text", "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": null, "instruct_type": null,
        },
        "pricing": pricing(&[]),
        "top_provider": null,
        "per_request_limits": null,
        "supported_parameters": [],
        "default_parameters": {},
        "provider_slug": "openai",
        "provider_site_url": "https://openai.com",
        "model_logo_url": "https://www.google.com/s2/favicons?domain=openai.com&sz=128",
        "source_gateway": gateway.as_str(),
    });
    for (name, value) in fields.as_object().unwrap() {
        entry[name] = value.clone();
    }
    entry.as_object().unwrap().clone()
}

fn label(gateway: GatewayId) -> &'static str {
    match gateway {
        GatewayId::Portkey => "Portkey",
        GatewayId::Featherless => "Featherless",
        GatewayId::Chutes => "Chutes",
        GatewayId::Glama => "Glama",
        GatewayId::A4f => "A4F",
        GatewayId::OpenAi => "OpenAI",
        _ => "",
    }
}

/// The six lines that are always there, and what is stated.
fn pricing(stated: &[(&str, &str)]) -> Value {
    let mut pricing = json!({
        "prompt": null, "completion": null, "request": null, "image": null, "web_search": null, "internal_reasoning": null,
    });
    for (name, price) in stated {
        pricing[*name] = json!(price);
    }
    pricing
}

fn expected(gateway: GatewayId) -> Map<String, Value> {
    let sees = json!({
        "modality": "text+image->text", "input_modalities": ["text", "image"], "output_modalities": ["text"], "tokenizer": null,
        "instruct_type": null,
    });
    let of_openrouter = pricing(&[
        ("prompt", "0.00000015"),
        ("completion", "0.0000006"),
        ("image", "0.000217"),
        ("input_cache_read", "0.000000075"),
    ]);
    let tokens =
        |prompt, completion, cache| pricing(&[("prompt", prompt), ("completion", completion), ("input_cache_read", cache)]);
    let fields = match gateway {
        GatewayId::OpenRouter => return openrouters(of_openrouter),
        GatewayId::Portkey => json!({
            "created": null, "context_length": 0, "provider_slug": "sim", "provider_site_url": null, "model_logo_url": null,
            "pricing": of_openrouter,
            "description": "Portkey catalog entry for openai/gpt-4o-mini. Priced as the same model at OpenRouter, where it has one.",
        }),
        GatewayId::Featherless => json!({
            "name": "Openai/Gpt 4O Mini",
            "description": "Featherless catalog entry for openai/gpt-4o-mini. Pricing not available.",
        }),
        GatewayId::Chutes => {
            json!({"architecture": sees, "pricing": tokens("0.000000075", "0.0000003", "0.0000000375")})
        }
        GatewayId::Glama => json!({
            "architecture": sees, "created": 1_715_558_400, "pricing": tokens("0.0000003", "0.0000012", "0.00000015"),
        }),
        GatewayId::Requesty => json!({
            "architecture": sees, "description": "A stand-in that counts.", "pricing": tokens("0.00000045", "0.0000018", "0.000000225"),
        }),
        GatewayId::Aiml => json!({"name": "openai/gpt-4o-mini", "created": null, "description": "A stand-in that counts."}),
        GatewayId::A4f => json!({
            "created": null, "context_length": 0, "provider_slug": "provider-1", "provider_site_url": null, "model_logo_url": null,
        }),
        _ => json!({"canonical_slug": "openai/gpt-4o-mini", "context_length": 0}),
    };
    golden(gateway, fields)
}

/// As OpenRouter says it.
fn openrouters(pricing: Value) -> Map<String, Value> {
    let mut entry = golden(
        GatewayId::OpenRouter,
        json!({
            "name": "openai/gpt-4o-mini",
            "description": "A stand-in that counts.",
            "architecture": {
                "modality": "text+image->text", "input_modalities": ["text", "image"], "output_modalities": ["text"],
                "tokenizer": "Other", "instruct_type": null,
            },
            "pricing": pricing,
            "top_provider": {"context_length": 128_000, "max_completion_tokens": 4096, "is_moderated": false},
            "supported_parameters": ["max_tokens", "tools", "tool_choice", "response_format", "logprobs"],
        }),
    );
    entry.remove("slug");
    entry
}

#[actix_web::test]
async fn every_gateways_list_is_normalised_as_the_contract_says() {
    let world = World::start(&[]).await;
    for (gateway, _) in GATEWAYS {
        let reply = world.app.get(&format!("/models?gateway={gateway}")).await;
        assert_eq!(reply.status, 200, "{gateway}");
        let page = reply.json();
        let expected = expected(gateway);
        let found = page["data"].as_array().unwrap().iter().find(|model| model["id"] == expected["id"]);
        let found = found.unwrap_or_else(|| panic!("{gateway} lists {}", expected["id"]));
        for (name, value) in &expected {
            assert_eq!(&found[name], value, "{gateway}: {name}");
        }
        assert!(found.get("raw_portkey").is_none() && found.get("raw_featherless").is_none());
    }
}

#[actix_web::test]
async fn all_lists_merge_into_one_that_has_each_model_once_at_the_first_gateway() {
    let world = World::start(&[]).await;
    let page = world.app.get("/models?gateway=all").await.json();
    let of = |id: &str| -> Vec<&str> {
        let all = page["data"].as_array().unwrap().iter().filter(|model| model["id"] == id);
        all.map(|model| model["source_gateway"].as_str().unwrap()).collect()
    };
    assert_eq!(of("openai/gpt-4o-mini"), ["openrouter"]);
    // OpenAI's own is the same model, as its slug tells; A4F's is not known to be.
    assert_eq!((of("gpt-4o-mini"), of("provider-1/gpt-4o-mini")), (vec![], vec!["a4f"]));
}

#[actix_web::test]
async fn a_tier_is_shown_where_its_price_is() {
    let world = World::start(&[]).await;
    let list = json!({"data": [{
        "id": "google/gemini-2.5-pro",
        "pricing": {
            "prompt": "0.00000125", "completion": "0.00001",
            "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.0000025", "completion": "0.000015"}],
        },
    }]});
    world.provider(GatewayId::OpenRouter).serve_models(Some(list.to_string().into()));
    world.app.clock.advance(std::time::Duration::from_secs(300));
    let shown = support::eventually("the new list", async || {
        let page = world.app.get("/models?gateway=openrouter").await.json();
        Some(page["data"][0].clone()).filter(|model| model["id"] == "google/gemini-2.5-pro")
    })
    .await;
    let tiers = json!([{"min_prompt_tokens": 200_000, "prompt": "0.0000025", "completion": "0.000015"}]);
    assert_eq!(shown["charged_pricing"]["overrides"], tiers);
    assert_eq!(shown["charged_pricing"]["prompt"], "0.00000125");
}
