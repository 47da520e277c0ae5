//! Who may serve a request, and at what price. Read from the catalogue's snapshot; nothing is asked.

mod wishes;

#[cfg(test)]
mod tests;

use super::request::{ChatRequest, Provider};
use crate::http::error::ApiError;
use std::sync::Arc;
use std::time::Duration;
use tollgate_actors::catalog::{CatalogEntry, CatalogSnapshot};
use tollgate_domain::{GatewayId, PriceList};

/// A gateway that has the model, and what it costs there.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    pub gateway: GatewayId,
    /// The model's id in the catalogue, where that is not what the request's `model` says.
    pub name: Option<Box<str>>,
    /// What goes upstream as `model`.
    pub upstream_id: Arc<str>,
    pub prices: PriceList,
    /// Tokens; 0 when unknown.
    pub context_length: i64,
    /// Tokens; `None` when unknown.
    pub max_completion_tokens: Option<i64>,
}

impl Offer {
    fn of(entry: &CatalogEntry, request: &ChatRequest) -> Self {
        Self {
            gateway: entry.gateway,
            name: (*entry.id != *request.model).then(|| entry.id.clone()),
            upstream_id: Arc::clone(&entry.upstream_id),
            prices: entry.charged.clone(),
            context_length: entry.context_length,
            max_completion_tokens: entry.max_completion_tokens,
        }
    }

    /// What the records call the model.
    pub fn name<'a>(&'a self, request: &'a ChatRequest) -> &'a str {
        self.name.as_deref().unwrap_or(&request.model)
    }
}

/// Finds the offers for a request, in the order in which they are tried: at least one. First those for `model`, then those
/// for each of `models`.
///
/// The request learns what of its `provider` goes to OpenRouter.
///
/// # Errors
/// 404 for a model that no gateway has, 503 while no gateway's list is there.
pub fn offers(request: &mut ChatRequest, catalog: &CatalogSnapshot) -> Result<Vec<Offer>, ApiError> {
    if catalog.lists().next().is_none() {
        return Err(
            ApiError::unavailable(Duration::from_secs(5)).with_message("The model catalogue is not loaded yet, please retry")
        );
    }
    let wanted = match &request.provider {
        Provider::Wishes(_) => return by_wishes(request, catalog),
        Provider::Gateway(gateway) => Some(*gateway),
        Provider::Any => portkey_hint(request, catalog),
    };
    let mut offers = of_model(&request.model, request, catalog, wanted)?;
    for model in &request.models {
        offers.extend(of_model(model, request, catalog, wanted)?);
    }
    Ok(offers)
}

/// The offers that OpenRouter's preferences allow, in the order that they wish.
fn by_wishes(request: &mut ChatRequest, catalog: &CatalogSnapshot) -> Result<Vec<Offer>, ApiError> {
    let Provider::Wishes(wishes) = &request.provider else { return Ok(Vec::new()) };
    let models = std::iter::once(&request.model).chain(&request.models);
    let groups = models.map(|model| of_model(model, request, catalog, None)).collect::<Result<Vec<_>, _>>()?;
    let ours = wishes::ours(&groups);
    let offers: Vec<Offer> = groups.into_iter().flat_map(|group| wishes::choose(wishes, group, &ours)).collect();
    request.for_openrouter = wishes.without(&ours);
    if offers.is_empty() { Err(no_model(&request.model)) } else { Ok(offers) }
}

/// Clients name a provider of Portkey's for models that are Portkey's. Without Portkey, another gateway will do: unless the
/// caller brought a key that only Portkey knows.
fn portkey_hint(request: &ChatRequest, catalog: &CatalogSnapshot) -> Option<GatewayId> {
    let is_on = catalog.list(GatewayId::Portkey).is_some();
    let is_meant = request.portkey_virtual_key.is_some() || (is_on && request.portkey_provider.is_some());
    is_meant.then_some(GatewayId::Portkey)
}

/// One model's offers, at least one; of one gateway only, where that is wanted.
fn of_model(
    model: &str,
    request: &ChatRequest,
    catalog: &CatalogSnapshot,
    wanted: Option<GatewayId>,
) -> Result<Vec<Offer>, ApiError> {
    let is_wanted = |entry: &&Arc<CatalogEntry>| wanted.is_none_or(|wanted| wanted == entry.gateway);
    let candidates = of_named_provider(model, request, catalog).unwrap_or_else(|| catalog.resolve(model));
    let candidates = candidates.iter().filter(is_wanted);
    let mut offers: Vec<Offer> = candidates.map(|entry| Offer::of(entry, request)).collect();
    if offers.is_empty() && wanted == Some(GatewayId::Portkey) {
        offers.extend(at_portkey(model, request, catalog));
    }
    if offers.is_empty() { Err(no_model(model)) } else { Ok(offers) }
}

/// Several of Portkey's providers may have a model of one name: the one that the caller names is meant.
fn of_named_provider<'a>(model: &str, request: &ChatRequest, catalog: &'a CatalogSnapshot) -> Option<&'a [Arc<CatalogEntry>]> {
    let provider = request.portkey_provider.as_ref()?.trim_start_matches('@');
    let found = catalog.resolve(&format!("@{provider}/{model}"));
    found.iter().any(|entry| entry.gateway == GatewayId::Portkey).then_some(found)
}

/// Portkey serves its providers' models under names that its own list may not have: then the same model's price elsewhere
/// counts.
fn at_portkey(model: &str, request: &ChatRequest, catalog: &CatalogSnapshot) -> Option<Offer> {
    let full_name = || Some(format!("{}/{model}", request.portkey_provider.as_ref()?));
    let entry = catalog.resolve(model).first().or_else(|| catalog.resolve(&full_name()?).first())?;
    let name = (model != request.model).then(|| model.into());
    Some(Offer { gateway: GatewayId::Portkey, name, upstream_id: model.into(), ..Offer::of(entry, request) })
}

fn no_model(model: &str) -> ApiError {
    ApiError::not_found(format!("The model '{model}' does not exist")).with_code("model_not_found").with_param("model")
}
