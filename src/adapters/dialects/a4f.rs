//! A4F: several providers of one model, told apart by the id's beginning (`provider-3/gpt-4o`), which has to stay.

use super::listing::Listing;
use super::{Dialect, id_of};
use serde_json::Value;
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::GatewayId;

pub(super) const DIALECT: Dialect = Dialect::listing(GatewayId::A4f, model);

/// `{"id": "provider-1/gpt-4o", "type": "chat/completion", "features"}`.
fn model(entry: &Value) -> Option<CatalogModel> {
    let id = id_of(entry).filter(|_| entry.get("type").is_none_or(|kind| kind == "chat/completion"))?;
    Some(Listing::new(GatewayId::A4f, "A4F", id).into_model())
}
