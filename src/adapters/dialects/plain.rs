//! Gateways whose lists say little: ids, and nothing of prices.

use super::{Dialect, KeyPlace, id_of, no_headers};
use serde_json::{Value, json};
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::GatewayId;

pub(super) const fn dialect(id: GatewayId, models: fn(&[Value]) -> Vec<CatalogModel>) -> Dialect {
    Dialect { id, key: KeyPlace::Bearer, headers: no_headers, models }
}

pub(super) fn portkey(entries: &[Value]) -> Vec<CatalogModel> {
    all(GatewayId::Portkey, entries)
}

pub(super) fn featherless(entries: &[Value]) -> Vec<CatalogModel> {
    all(GatewayId::Featherless, entries)
}

pub(super) fn chutes(entries: &[Value]) -> Vec<CatalogModel> {
    all(GatewayId::Chutes, entries)
}

pub(super) fn glama(entries: &[Value]) -> Vec<CatalogModel> {
    all(GatewayId::Glama, entries)
}

pub(super) fn requesty(entries: &[Value]) -> Vec<CatalogModel> {
    all(GatewayId::Requesty, entries)
}

pub(super) fn aiml(entries: &[Value]) -> Vec<CatalogModel> {
    all(GatewayId::Aiml, entries)
}

pub(super) fn a4f(entries: &[Value]) -> Vec<CatalogModel> {
    all(GatewayId::A4f, entries)
}

pub(super) fn openai(entries: &[Value]) -> Vec<CatalogModel> {
    all(GatewayId::OpenAi, entries)
}

fn all(gateway: GatewayId, entries: &[Value]) -> Vec<CatalogModel> {
    entries.iter().filter_map(|entry| model(gateway, id_of(entry)?, entry)).collect()
}

fn model(gateway: GatewayId, id: &str, entry: &Value) -> Option<CatalogModel> {
    let slug = id.trim_start_matches('@').split_once('/').map_or(gateway.as_str(), |(slug, _)| slug);
    Some(CatalogModel {
        id: id.to_owned(),
        upstream_id: None,
        gateway,
        prices: None,
        context_length: 0,
        max_completion_tokens: None,
        public: json!({
            "id": id,
            "canonical_slug": id,
            "hugging_face_id": null,
            "name": id,
            "created": entry.get("created").and_then(Value::as_i64),
            "description": null,
            "context_length": 0,
            "architecture": null,
            "pricing": {"prompt": null, "completion": null, "request": null, "image": null, "web_search": null, "internal_reasoning": null},
            "top_provider": null,
            "per_request_limits": null,
            "supported_parameters": [],
            "default_parameters": {},
            "provider_slug": slug,
            "provider_site_url": null,
            "model_logo_url": null,
            "source_gateway": gateway.as_str(),
        }),
    })
}
