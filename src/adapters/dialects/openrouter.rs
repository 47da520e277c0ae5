//! OpenRouter's list of models, and what the catalogue's doors show of it.

use super::listing::own_line;
use super::{Dialect, id_of, tokens};
use crate::adapters::price_text::{decimal, per_piece_nanos, per_token};
use crate::adapters::{AdapterError, GatewaySettings, providers};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::{DayWindow, GatewayId, PriceLines, PriceList, PriceOverride, PricePerMillion, RareLines};

/// Not `Referer`: OpenRouter wants it so.
const HTTP_REFERER: HeaderName = HeaderName::from_static("http-referer");
const X_TITLE: HeaderName = HeaderName::from_static("x-title");
/// Shown in every entry, null when unknown.
const PRICES_SHOWN: [&str; 6] = ["prompt", "completion", "request", "image", "web_search", "internal_reasoning"];
/// Shown where OpenRouter states them.
const PRICES_SHOWN_IF_STATED: [&str; 7] =
    ["image_token", "image_output", "audio", "audio_output", "input_cache_read", "input_cache_write", "input_cache_write_1h"];
/// What a tier may ask of a call. An unknown condition can't be tested.
const CONDITIONS: [&str; 3] = ["min_prompt_tokens", "utc_start", "utc_end"];
/// Prices of a piece; all others are of a token.
const PER_PIECE: [&str; 3] = ["request", "image", "web_search"];

pub(super) const DIALECT: Dialect = Dialect { headers, ..Dialect::listing(GatewayId::OpenRouter, model) };

/// OpenRouter shows its users which site calls; without these it says "unknown", which is no error.
fn headers(settings: &GatewaySettings) -> Result<HeaderMap, AdapterError> {
    let mut headers = HeaderMap::new();
    for (name, value) in [(HTTP_REFERER, &settings.site_url), (X_TITLE, &settings.site_name)] {
        if !value.is_empty() {
            let wrong = |_| AdapterError::Setting { what: "site", reason: "can't stand in a header".to_owned() };
            headers.insert(name, HeaderValue::try_from(value.as_str()).map_err(wrong)?);
        }
    }
    Ok(headers)
}

fn model(entry: &Value) -> Option<CatalogModel> {
    let id = id_of(entry)?;
    let context_length = tokens(entry, "context_length").unwrap_or(0);
    Some(CatalogModel {
        id: id.to_owned(),
        gateway: GatewayId::OpenRouter,
        upstream_id: None,
        prices: entry.get("pricing").and_then(price_list),
        context_length,
        max_completion_tokens: entry.get("top_provider").and_then(|top| tokens(top, "max_completion_tokens")),
        public: public(id, context_length, entry),
    })
}

/// What OpenRouter charges: `None` when it does not say, or not in numbers. Whether the numbers are sane is for the
/// catalogue to say.
fn price_list(pricing: &Value) -> Option<PriceList> {
    let stated = Stated::read(pricing)?;
    let base = PriceLines {
        prompt: stated.prompt?,
        completion: stated.completion?,
        cache_read: stated.cache_read,
        cache_write: stated.cache_write,
        reasoning: stated.reasoning,
        request: stated.request.unwrap_or(0),
        image: stated.image.unwrap_or(0),
        rare: stated.rare,
    };
    let tiers = pricing.get("overrides").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    // One tier that can't be read makes the price unknown: without it too little might be charged.
    let overrides: Option<Vec<PriceOverride>> = tiers.iter().map(tier).collect();
    Some(PriceList { base, overrides: overrides?.into() })
}

/// An entry of `pricing.overrides`: conditions, and the prices that hold where all of them are met.
fn tier(entry: &Value) -> Option<PriceOverride> {
    let unknown = |name: &str| ["min_", "max_", "utc_"].iter().any(|kind| name.starts_with(kind)) && !CONDITIONS.contains(&name);
    if entry.as_object()?.keys().any(|name| unknown(name)) {
        return None;
    }
    let given = |name: &str| entry.get(name).filter(|value| !value.is_null());
    let window = match (given("utc_start"), given("utc_end")) {
        (None, None) => None,
        (Some(start), Some(end)) => Some(DayWindow::parse(&time_text(start)?, &time_text(end)?)?),
        _ => return None,
    };
    let min_prompt_tokens = match given("min_prompt_tokens") {
        None => None,
        Some(count) => Some(count.as_i64()?),
    };
    let Stated { prompt, completion, cache_read, cache_write, reasoning, request, image, rare } = Stated::read(entry)?;
    Some(PriceOverride {
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
    })
}

/// `HHMM`, as text or as a number.
fn time_text(time: &Value) -> Option<String> {
    time.as_str().map(str::to_owned).or_else(|| time.as_u64().map(|number| number.to_string()))
}

/// The prices that an object names.
struct Stated {
    prompt: Option<PricePerMillion>,
    completion: Option<PricePerMillion>,
    cache_read: Option<PricePerMillion>,
    cache_write: Option<PricePerMillion>,
    reasoning: Option<PricePerMillion>,
    /// In nano-dollars, as the next.
    request: Option<i64>,
    image: Option<i64>,
    rare: RareLines,
}

impl Stated {
    /// `None` when one of them is there and is no number.
    fn read(pricing: &Value) -> Option<Self> {
        let line = |name: &str| optional(pricing, name, per_token);
        // "0" stands in every entry whose reasoning has no price of its own: it is charged as completion.
        let own = |name: &str| Some(own_line(line(name)?));
        let fee = |name: &str| optional(pricing, name, per_piece_nanos);
        Some(Self {
            prompt: line("prompt")?,
            completion: line("completion")?,
            cache_read: line("input_cache_read")?,
            cache_write: line("input_cache_write")?,
            reasoning: own("internal_reasoning")?,
            request: fee("request")?,
            image: fee("image")?,
            rare: RareLines {
                audio: own("audio")?,
                audio_output: own("audio_output")?,
                image_output: own("image_output")?,
                cache_write_1h: own("input_cache_write_1h")?,
            },
        })
    }
}

/// A price that is not stated is fine; one that is stated and can't be read is not.
#[expect(clippy::option_option, reason = "readable or not, and then stated or not")]
fn optional<T>(pricing: &Value, name: &str, read: fn(&Value) -> Option<T>) -> Option<Option<T>> {
    match pricing.get(name).filter(|price| !price.is_null()) {
        None => Some(None),
        Some(price) => read(price).map(Some),
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
