//! Each gateway's list, as its documentation or its clients show it, becomes what `contract.md` A.1 says.

mod openrouter;
mod priced;
mod tiers;
mod unpriced;

use super::Dialect;
use serde_json::{Value, json};
use tollgate_actors::ports::{CatalogModel, GatewayError};
use tollgate_domain::{GatewayId, PricePerMillion};

fn read(gateway: GatewayId, list: &Value) -> Vec<CatalogModel> {
    Dialect::of(gateway).unwrap().read(list.to_string().into()).unwrap().collect()
}

/// The model of a list that has no other.
fn one(gateway: GatewayId, entry: Value) -> CatalogModel {
    let mut models = read(gateway, &json!({"data": [entry]}));
    assert_eq!(models.len(), 1);
    models.remove(0)
}

fn per_token(text: &str) -> PricePerMillion {
    PricePerMillion::parse_usd_per_token(text).unwrap()
}

/// A public entry of which nothing but this is known.
fn golden(gateway: GatewayId, fields: Value) -> Value {
    let mut entry = json!({
        "hugging_face_id": null,
        "created": null,
        "context_length": 0,
        "architecture": {
            "modality": "text->text", "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": null, "instruct_type": null,
        },
        "pricing": {
            "prompt": null, "completion": null, "request": null, "image": null, "web_search": null, "internal_reasoning": null,
        },
        "top_provider": null,
        "per_request_limits": null,
        "supported_parameters": [],
        "default_parameters": {},
        "provider_site_url": null,
        "model_logo_url": null,
        "source_gateway": gateway.as_str(),
    });
    for (name, value) in fields.as_object().unwrap() {
        entry[name] = value.clone();
    }
    entry
}

fn all_but_openrouter() -> impl Iterator<Item = GatewayId> {
    GatewayId::ALL.into_iter().filter(|gateway| !matches!(gateway, GatewayId::OpenRouter | GatewayId::Anthropic))
}

#[test]
fn a_list_may_be_bare_or_wrapped_and_an_entry_without_an_id_is_none() {
    let entries = json!([{"id": "a/b"}, {"id": ""}, {"id": 7}, {"id": "x".repeat(257)}, {"id": "a\nb"}, null, "text", {}]);
    for gateway in GatewayId::ALL.into_iter().filter(|gateway| *gateway != GatewayId::Anthropic) {
        for list in [entries.clone(), json!({"object": "list", "data": entries})] {
            let models = read(gateway, &list);
            assert_eq!(models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["a/b"], "{gateway}");
            assert_eq!((models[0].gateway, &models[0].prices), (gateway, &None));
        }
        let dialect = Dialect::of(gateway).unwrap();
        for body in ["", "<html>", "{}", r#"{"data": {}}"#, r#"[{"id": "a"#, "\u{0}"] {
            assert!(matches!(dialect.read(body.into()), Err(GatewayError::Malformed(_))), "{gateway}: {body:?}");
        }
    }
}

#[test]
fn a_model_without_a_slash_is_its_gateways_own() {
    for gateway in all_but_openrouter() {
        assert_eq!(one(gateway, json!({"id": "m"})).public["provider_slug"], gateway.as_str());
        assert_eq!(one(gateway, json!({"id": "google/m"})).public["provider_site_url"], "https://google.com");
    }
}

#[test]
fn garbage_in_every_field_is_no_price_and_no_panic() {
    let garbage = [json!("x"), json!(-1), json!(1e300), json!([]), json!({}), json!(true), json!("1e999"), json!(null)];
    let fields = [
        "created",
        "context_length",
        "max_completion_tokens",
        "max_output_length",
        "input_modalities",
        "pricing",
        "price",
        "added",
        "capabilities",
        "maxTokensInput",
        "maxTokensOutput",
        "pricePerToken",
        "context_window",
        "max_output_tokens",
        "input_price",
        "output_price",
        "caching_price",
        "cached_price",
        "info",
        "features",
        "slug",
        "description",
    ];
    for gateway in all_but_openrouter() {
        for value in &garbage {
            let mut entry: Value = fields.iter().map(|field| ((*field).to_owned(), value.clone())).collect();
            entry["id"] = json!("a/b");
            let model = one(gateway, entry);
            assert!(
                model.context_length >= 0 && model.max_completion_tokens.is_none_or(|tokens| tokens > 0),
                "{gateway}: {value}"
            );
            let shown = model.public["pricing"]["prompt"].as_str();
            assert!(shown.is_none(), "{gateway}: {value}: {shown:?}");
        }
    }
}
