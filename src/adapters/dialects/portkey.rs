//! Portkey: many providers' models behind one key. Its list has ids and slugs, and no prices.

use super::listing::Listing;
use super::{Dialect, KeyPlace, id_of, text_id};
use serde_json::{Value, json};
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::GatewayId;

/// `Authorization` would be for the provider behind it.
const KEY: KeyPlace = KeyPlace::Header("x-portkey-api-key");

pub(super) const DIALECT: Dialect = Dialect { key: KEY, again, ..Dialect::listing(GatewayId::Portkey, model) };

/// `{"id": "@deepinfra/zai-org/GLM-4.5", "slug": "zai-org/GLM-4.5", "canonical_slug", "object": "model"}`: callers say the
/// slug, Portkey wants its id.
fn model(entry: &Value) -> Option<CatalogModel> {
    let id = id_of(entry)?;
    let slug = text_id(entry, "slug").or_else(|| text_id(entry, "canonical_slug")).unwrap_or(id);
    let listing = Listing::new(GatewayId::Portkey, "Portkey", slug);
    let listing = Listing {
        upstream_id: Some(id),
        description: format!("{} Priced as the same model at OpenRouter, where it has one.", listing.description),
        priced_elsewhere: true,
        ..listing
    };
    Some(listing.into_model())
}

/// Two providers may have a model of one slug: the second one is called by its id, so that it can be called at all.
fn again(mut model: CatalogModel) -> CatalogModel {
    if let Some(own) = &model.upstream_id {
        model.id.clone_from(own);
        if let Some(public) = model.public.as_object_mut() {
            public.insert("id".to_owned(), json!(own));
        }
    }
    model
}
