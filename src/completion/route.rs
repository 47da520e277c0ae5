//! Who may serve a request, and at what price. Read from the catalogue's snapshot; nothing is asked.

use super::request::ChatRequest;
use crate::http::error::ApiError;
use std::sync::Arc;
use std::time::Duration;
use tollgate_actors::catalog::{CatalogEntry, CatalogSnapshot};
use tollgate_domain::{GatewayId, PriceLines, PriceList, PricePerMillion};

/// A gateway that has the model, and what it costs there.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    pub gateway: GatewayId,
    /// What goes upstream as `model`.
    pub upstream_id: Arc<str>,
    pub prices: PriceList,
    /// Tokens; 0 when unknown.
    pub context_length: i64,
    /// Tokens; `None` when unknown.
    pub max_completion_tokens: Option<i64>,
}

impl Offer {
    fn of(entry: &CatalogEntry) -> Self {
        Self {
            gateway: entry.gateway,
            upstream_id: Arc::clone(&entry.upstream_id),
            prices: entry.charged.clone(),
            context_length: entry.context_length,
            max_completion_tokens: entry.max_completion_tokens,
        }
    }
}

/// The offers for a request, in the order in which they are tried: at least one.
///
/// # Errors
/// 404 for a model that no gateway has, 503 while no gateway's list is there.
pub fn offers(request: &ChatRequest, catalog: &CatalogSnapshot) -> Result<Vec<Offer>, ApiError> {
    if catalog.lists().next().is_none() {
        return Err(
            ApiError::unavailable(Duration::from_secs(5)).with_message("The model catalogue is not loaded yet, please retry")
        );
    }
    let by_portkey = request.portkey_provider.is_some() || request.portkey_virtual_key.is_some();
    let wanted = request.provider.or(by_portkey.then_some(GatewayId::Portkey));
    let candidates = catalog.candidates(&request.model).iter().map(|entry| Offer::of(entry));
    let mut offers: Vec<Offer> = candidates.filter(|offer| wanted.is_none_or(|wanted| wanted == offer.gateway)).collect();
    if offers.is_empty() && wanted == Some(GatewayId::Portkey) {
        offers.extend(elsewhere(request, catalog).map(|entry| Offer {
            gateway: GatewayId::Portkey,
            upstream_id: request.model.as_str().into(),
            ..Offer::of(entry)
        }));
    }
    if offers.is_empty() {
        return Err(no_model(&request.model));
    }
    // OpenRouter falls back to these by itself; which one answered is not always told, so the dearest one's price is held.
    for model in &request.models {
        let fallback = catalog.find(model).map(|entry| Offer::of(entry)).ok_or_else(|| no_model(model))?;
        for offer in &mut offers {
            offer.prices = dearest_list(&offer.prices, &fallback.prices);
            offer.context_length = offer.context_length.max(fallback.context_length);
        }
    }
    Ok(offers)
}

/// Portkey serves its providers' models under names that its own list may not have: then the same model's price elsewhere
/// counts.
fn elsewhere<'a>(request: &ChatRequest, catalog: &'a CatalogSnapshot) -> Option<&'a CatalogEntry> {
    let full_name = request.portkey_provider.as_ref().map(|provider| format!("{provider}/{}", request.model));
    let entry = catalog.find(&request.model).or_else(|| catalog.find(&full_name?))?;
    Some(entry)
}

/// The dearer one of each line, with the tiers of both.
fn dearest_list(one: &PriceList, other: &PriceList) -> PriceList {
    let overrides = one.overrides.iter().chain(&*other.overrides).copied().collect();
    PriceList { base: dearest(one.base, other.base), overrides }
}

/// Line by line the higher price.
fn dearest(one: PriceLines, other: PriceLines) -> PriceLines {
    type Line = Option<PricePerMillion>;
    let line = |one: Line, other: Line, base_of_one: PricePerMillion, base_of_other: PricePerMillion| match (one, other) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(base_of_one).max(other.unwrap_or(base_of_other))),
    };
    PriceLines {
        prompt: one.prompt.max(other.prompt),
        completion: one.completion.max(other.completion),
        cache_read: line(one.cache_read, other.cache_read, one.prompt, other.prompt),
        cache_write: line(one.cache_write, other.cache_write, one.prompt, other.prompt),
        reasoning: line(one.reasoning, other.reasoning, one.completion, other.completion),
        request: one.request.max(other.request),
        image: one.image.max(other.image),
    }
}

fn no_model(model: &str) -> ApiError {
    ApiError::not_found(format!("The model '{model}' does not exist")).with_code("model_not_found").with_param("model")
}
