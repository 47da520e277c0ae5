//! OpenRouter's preferences, applied to our gateways.
//!
//! A name among them is ours when that gateway has the model; all others are names of OpenRouter's own providers, and
//! OpenRouter stands for them.

use super::Offer;
use crate::completion::request::Wishes;
use tollgate_domain::GatewayId;

/// The gateways that can be named.
pub fn ours(groups: &[Vec<Offer>]) -> Vec<GatewayId> {
    let mut ours: Vec<GatewayId> = groups.iter().flatten().map(|offer| offer.gateway).collect();
    ours.sort_unstable();
    ours.dedup();
    ours
}

/// Of one model's offers those that are allowed, in the wished order.
pub fn choose(wishes: &Wishes, mut group: Vec<Offer>, ours: &[GatewayId]) -> Vec<Offer> {
    // For whom a name stands.
    let meant = |name: &String| GatewayId::parse(name).filter(|gateway| ours.contains(gateway)).unwrap_or(GatewayId::OpenRouter);
    let order: Vec<GatewayId> = wishes.order.iter().flatten().map(meant).collect();
    let only: Vec<GatewayId> = wishes.only.iter().flatten().map(meant).collect();
    // An ignored provider of OpenRouter's is no reason to ignore OpenRouter.
    let ignored = |offer: &Offer| wishes.ignore.iter().flatten().any(|name| GatewayId::parse(name) == Some(offer.gateway));
    let heeds_demands = |offer: &Offer| offer.gateway == GatewayId::OpenRouter || order.contains(&offer.gateway);
    group.retain(|offer| {
        let is_allowed =
            if only.is_empty() { wishes.demands.is_empty() || heeds_demands(offer) } else { only.contains(&offer.gateway) };
        is_allowed && !ignored(offer)
    });
    if wishes.is_by_price() {
        group.sort_by_key(|offer| offer.prices.base.prompt.0.saturating_add(offer.prices.base.completion.0));
    }
    group.sort_by_key(|offer| order.iter().position(|gateway| *gateway == offer.gateway).unwrap_or(usize::MAX));
    if wishes.allow_fallbacks == Some(false) {
        group.truncate(1);
    }
    group
}
