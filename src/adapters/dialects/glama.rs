//! Glama: a bare array with prices as decimal text.

use super::listing::{Listing, own_line};
use super::{Dialect, id_of, tokens};
use crate::adapters::price_text::per_token;
use chrono::DateTime;
use serde_json::Value;
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::{GatewayId, PriceLines, PricePerMillion};

pub(super) const DIALECT: Dialect = Dialect { list_path, ..Dialect::listing(GatewayId::Glama, model) };

/// The list with prices stands beside the door for OpenAI's clients (`…/gateway/openai/v1`), not behind it.
fn list_path(base: &str) -> &'static str {
    if base.ends_with("/openai/v1/") { "../../v1/models" } else { "models" }
}

/// `{"id", "added", "capabilities": ["input:image", …], "maxTokensInput", "maxTokensOutput", "pricePerToken": {"input",
/// "output", "cacheRead", "cacheWrite"}}`.
fn model(entry: &Value) -> Option<CatalogModel> {
    let id = id_of(entry)?;
    let added = entry.get("added").and_then(Value::as_str).and_then(|added| DateTime::parse_from_rfc3339(added).ok());
    let capabilities = entry.get("capabilities").and_then(Value::as_array);
    let listing = Listing {
        created: added.map(|added| added.timestamp()),
        context_length: tokens(entry, "maxTokensInput"),
        max_completion_tokens: tokens(entry, "maxTokensOutput"),
        sees_images: capabilities.is_some_and(|all| all.iter().any(|capability| capability == "input:image")),
        prices: entry.get("pricePerToken").and_then(prices),
        ..Listing::new(GatewayId::Glama, "Glama", id)
    };
    Some(listing.into_model())
}

fn prices(stated: &Value) -> Option<PriceLines> {
    let line = |name: &str| -> Option<PricePerMillion> { per_token(stated.get(name)?) };
    Some(PriceLines {
        completion: line("output")?,
        cache_read: own_line(line("cacheRead")),
        cache_write: own_line(line("cacheWrite")),
        ..PriceLines::flat(line("input")?)
    })
}
