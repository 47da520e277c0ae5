//! AIML API: models of all kinds in one list, without prices.

use super::listing::Listing;
use super::{Dialect, id_of, tokens};
use serde_json::Value;
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::GatewayId;

pub(super) const DIALECT: Dialect = Dialect::listing(GatewayId::Aiml, model);

/// `{"id", "type": "chat-completion", "info": {"name", "developer", "description", "contextLength", "maxTokens"}, "features",
/// "endpoints"}`. Those of another type draw, speak or embed.
fn model(entry: &Value) -> Option<CatalogModel> {
    let id = id_of(entry).filter(|_| entry.get("type").is_none_or(|kind| kind == "chat-completion"))?;
    let info = entry.get("info").unwrap_or(&Value::Null);
    let text = |field: &str| info.get(field).and_then(Value::as_str).filter(|text| !text.trim().is_empty()).map(str::to_owned);
    let listing = Listing::new(GatewayId::Aiml, "AIML", id);
    let listing = Listing {
        name: text("name").unwrap_or(listing.name),
        description: text("description").unwrap_or(listing.description),
        context_length: tokens(info, "contextLength"),
        max_completion_tokens: tokens(info, "maxTokens"),
        ..listing
    };
    Some(listing.into_model())
}
