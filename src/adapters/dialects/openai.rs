//! OpenAI itself: a list of ids.

use super::listing::Listing;
use super::{Dialect, id_of};
use serde_json::Value;
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::GatewayId;

pub(super) const DIALECT: Dialect = Dialect::listing(GatewayId::OpenAi, model);

/// The list does not say which of its models talk; the others have one of these words in their names.
const OTHERS: [&str; 12] = [
    "babbage",
    "computer-use",
    "dall-e",
    "davinci",
    "embedding",
    "image",
    "moderation",
    "realtime",
    "sora",
    "transcribe",
    "tts",
    "whisper",
];

/// `{"id": "gpt-4o", "object": "model", "created", "owned_by"}`. Elsewhere it is called `openai/gpt-4o`, and priced so.
fn model(entry: &Value) -> Option<CatalogModel> {
    let id = id_of(entry).filter(|id| !OTHERS.iter().any(|other| id.contains(other)))?;
    let listing = Listing {
        canonical_slug: format!("openai/{id}"),
        created: entry.get("created").and_then(Value::as_i64),
        ..Listing::new(GatewayId::OpenAi, "OpenAI", id)
    };
    Some(listing.into_model())
}
