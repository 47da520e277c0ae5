//! Featherless: some 22,000 open models for a monthly fee, without prices for tokens.

use super::listing::{Listing, title};
use super::{Dialect, id_of, tokens};
use serde_json::Value;
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::GatewayId;

pub(super) const DIALECT: Dialect = Dialect::listing(GatewayId::Featherless, model);

/// `{"id", "name", "model_class", "context_length", "max_completion_tokens", "is_gated", "available_on_current_plan"}`. A model
/// that the key's plan does not have would be refused.
fn model(entry: &Value) -> Option<CatalogModel> {
    let id = id_of(entry).filter(|_| entry.get("available_on_current_plan") != Some(&Value::Bool(false)))?;
    let listing = Listing::new(GatewayId::Featherless, "Featherless", id);
    let listing = Listing {
        name: title(id),
        description: format!("{} Pricing not available.", listing.description),
        created: entry.get("created").and_then(Value::as_i64),
        context_length: tokens(entry, "context_length"),
        max_completion_tokens: tokens(entry, "max_completion_tokens"),
        ..listing
    };
    Some(listing.into_model())
}
