//! Requesty: prices as numbers. Its `caching_price` is for writing to a cache, its `cached_price` for reading from it.

use super::listing::{Listing, own_line};
use super::{Dialect, id_of, tokens};
use crate::adapters::price_text::per_token;
use serde_json::Value;
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::{GatewayId, PriceLines, PricePerMillion};

pub(super) const DIALECT: Dialect = Dialect::listing(GatewayId::Requesty, model);

/// `{"id", "description", "created", "context_window", "max_output_tokens", "supports_vision", "supports_caching",
/// "input_price", "output_price", "caching_price", "cached_price"}`.
fn model(entry: &Value) -> Option<CatalogModel> {
    let listing = Listing::new(GatewayId::Requesty, "Requesty", id_of(entry)?);
    let stated = entry.get("description").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let listing = Listing {
        description: stated.map_or(listing.description, str::to_owned),
        created: entry.get("created").and_then(Value::as_i64).filter(|seconds| *seconds > 0),
        context_length: tokens(entry, "context_window"),
        max_completion_tokens: tokens(entry, "max_output_tokens"),
        sees_images: entry.get("supports_vision") == Some(&Value::Bool(true)),
        prices: prices(entry),
        ..listing
    };
    Some(listing.into_model())
}

fn prices(entry: &Value) -> Option<PriceLines> {
    let line = |name: &str| -> Option<PricePerMillion> { per_token(entry.get(name)?) };
    Some(PriceLines {
        completion: line("output_price")?,
        // Mutant: exchanging the two turns `requesty_writes_at_its_caching_price_and_reads_at_its_cached_price` red.
        cache_read: own_line(line("cached_price")),
        cache_write: own_line(line("caching_price")),
        ..PriceLines::flat(line("input_price")?)
    })
}
