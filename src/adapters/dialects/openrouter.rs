//! OpenRouter's list of models, and what the catalogue's doors show of it.

use super::{Dialect, KeyPlace, id_of};
use crate::adapters::price_text::{decimal, per_piece_nanos, per_token};
use crate::adapters::{AdapterError, GatewaySettings, providers};
use hyper::header::{HeaderMap, HeaderName, HeaderValue, REFERER};
use serde_json::{Map, Value, json};
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::{GatewayId, PriceLines, PriceList, PricePerMillion};

const X_TITLE: HeaderName = HeaderName::from_static("x-title");
/// Shown in every entry, null when unknown.
const PRICES_SHOWN: [&str; 6] = ["prompt", "completion", "request", "image", "web_search", "internal_reasoning"];
/// Shown where OpenRouter states them.
const PRICES_SHOWN_IF_STATED: [&str; 7] =
    ["image_token", "image_output", "audio", "audio_output", "input_cache_read", "input_cache_write", "input_cache_write_1h"];
/// Prices of a piece; all others are of a token.
const PER_PIECE: [&str; 3] = ["request", "image", "web_search"];

pub(super) const DIALECT: Dialect = Dialect { id: GatewayId::OpenRouter, key: KeyPlace::Bearer, headers, models };

/// OpenRouter shows its users which site calls; without these it says "unknown", which is no error.
fn headers(settings: &GatewaySettings) -> Result<HeaderMap, AdapterError> {
    let mut headers = HeaderMap::new();
    for (name, value) in [(REFERER, &settings.site_url), (X_TITLE, &settings.site_name)] {
        if !value.is_empty() {
            let wrong = |_| AdapterError::Setting { what: "site", reason: "can't stand in a header".to_owned() };
            headers.insert(name, HeaderValue::try_from(value.as_str()).map_err(wrong)?);
        }
    }
    Ok(headers)
}

fn models(entries: &[Value]) -> Vec<CatalogModel> {
    entries.iter().filter_map(model).collect()
}

fn model(entry: &Value) -> Option<CatalogModel> {
    let id = id_of(entry)?;
    let top_provider = entry.get("top_provider");
    let context_length = entry.get("context_length").and_then(Value::as_i64).unwrap_or(0).max(0);
    Some(CatalogModel {
        id: id.to_owned(),
        gateway: GatewayId::OpenRouter,
        upstream_id: None,
        prices: entry.get("pricing").and_then(prices).map(PriceList::from),
        context_length,
        max_completion_tokens: top_provider
            .and_then(|top| top.get("max_completion_tokens")?.as_i64())
            .filter(|tokens| *tokens > 0),
        public: public(id, context_length, entry),
    })
}

/// What OpenRouter charges: `None` when it does not say, or not in numbers. Whether the numbers are sane is for the
/// catalogue to say.
fn prices(pricing: &Value) -> Option<PriceLines> {
    let stated = |name: &str| pricing.get(name).filter(|price| !price.is_null());
    let line = |name: &str| stated(name).map(per_token);
    let fee = |name: &str| stated(name).map_or(Some(0), per_piece_nanos);
    Some(PriceLines {
        prompt: line("prompt")??,
        completion: line("completion")??,
        cache_read: transpose(line("input_cache_read"))?,
        cache_write: transpose(line("input_cache_write"))?,
        // "0" stands in every entry whose reasoning has no price of its own: it is charged as completion.
        reasoning: transpose(line("internal_reasoning"))?.filter(|price| price.0 != 0),
        request: fee("request")?,
        image: fee("image")?,
    })
}

/// A line that is not stated is fine; one that is stated and is no number is not.
#[expect(clippy::option_option, reason = "stated or not, and then a number or not")]
fn transpose(line: Option<Option<PricePerMillion>>) -> Option<Option<PricePerMillion>> {
    match line {
        None => Some(None),
        Some(price) => price.map(Some),
    }
}

/// The entry as the catalogue's doors show it.
fn public(id: &str, context_length: i64, entry: &Value) -> Value {
    let field = |name: &str| entry.get(name).unwrap_or(&Value::Null);
    let text = |name: &str| field(name).as_str().map_or(Value::Null, Value::from);
    let object = |name: &str| if field(name).is_object() { field(name).clone() } else { Value::Null };
    let slug = id.split_once('/').map(|(slug, _)| slug);
    json!({
        "id": id,
        "canonical_slug": text("canonical_slug"),
        "hugging_face_id": text("hugging_face_id"),
        "name": field("name").as_str().filter(|name| !name.trim().is_empty()).unwrap_or(id),
        "created": field("created").as_i64(),
        "description": text("description"),
        "context_length": context_length,
        "architecture": object("architecture"),
        "pricing": public_pricing(field("pricing")),
        "top_provider": object("top_provider"),
        "per_request_limits": object("per_request_limits"),
        "supported_parameters": if field("supported_parameters").is_array() { field("supported_parameters").clone() } else { json!([]) },
        "default_parameters": if field("default_parameters").is_object() { field("default_parameters").clone() } else { json!({}) },
        "provider_slug": slug,
        "provider_site_url": slug.and_then(providers::site_url),
        "model_logo_url": slug.and_then(providers::logo_url),
        "source_gateway": GatewayId::OpenRouter.as_str(),
    })
}

/// Decimal strings as stated. A price that is negative or absurd is unknown, and unknown is null, never "0".
fn public_pricing(pricing: &Value) -> Value {
    let shown = |name: &str| -> Option<String> {
        let stated = pricing.get(name)?;
        let price = per_token(stated)?;
        let sane = if PER_PIECE.contains(&name) { price.0 >= 0 } else { !price.is_absurd() };
        if sane { decimal(stated) } else { None }
    };
    let mut all: Map<String, Value> = PRICES_SHOWN.iter().map(|name| ((*name).to_owned(), shown(name).into())).collect();
    all.extend(PRICES_SHOWN_IF_STATED.iter().filter_map(|name| Some(((*name).to_owned(), shown(name)?.into()))));
    Value::Object(all)
}
