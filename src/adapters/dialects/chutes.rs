//! Chutes: open models, priced in dollars for a million tokens.

use super::listing::{Listing, own_line};
use super::{Dialect, id_of, tokens};
use crate::adapters::price_text::per_million;
use serde_json::Value;
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::{GatewayId, PriceLines, PricePerMillion};

pub(super) const DIALECT: Dialect = Dialect::listing(GatewayId::Chutes, model);

/// `{"id", "created", "context_length", "max_output_length", "input_modalities", "output_modalities", "pricing": {"prompt",
/// "completion", "input_cache_read"}, "price": {"input": {"usd", "tao"}, …}}`.
fn model(entry: &Value) -> Option<CatalogModel> {
    let id = id_of(entry).filter(|_| has(entry, "output_modalities", "text").unwrap_or(true))?;
    let listing = Listing {
        created: entry.get("created").and_then(Value::as_i64),
        context_length: tokens(entry, "context_length").or_else(|| tokens(entry, "max_model_len")),
        max_completion_tokens: tokens(entry, "max_output_length"),
        sees_images: has(entry, "input_modalities", "image").unwrap_or(false),
        prices: prices(entry),
        ..Listing::new(GatewayId::Chutes, "Chutes", id)
    };
    Some(listing.into_model())
}

/// Whether a list of words has the word; `None` when there is no list.
fn has(entry: &Value, list: &str, word: &str) -> Option<bool> {
    entry.get(list)?.as_array().map(|words| words.iter().any(|entry| entry == word))
}

fn prices(entry: &Value) -> Option<PriceLines> {
    let line = |pricing: &str, price: &str| -> Option<PricePerMillion> {
        let stated = entry.get("pricing").and_then(|all| all.get(pricing));
        per_million(stated.or_else(|| entry.pointer(&format!("/price/{price}/usd")))?)
    };
    Some(PriceLines {
        completion: line("completion", "output")?,
        cache_read: own_line(line("input_cache_read", "input_cache_read")),
        ..PriceLines::flat(line("prompt", "input")?)
    })
}
