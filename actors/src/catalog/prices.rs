//! Which stated prices are believed, and what is charged where none is (decision 4).

use super::snapshot::{CatalogEntry, GatewayList};
use std::collections::HashMap;
use std::sync::Arc;
use tollgate_domain::{PriceLines, PriceList, RareLines};

/// Ten dollars for one request or one image, in nano-dollars: above it a unit was mixed up.
const FLAT_SANE_MAX: i64 = 10_000_000_000;

/// No line of any tier is negative or beyond all experience. One absurd line discredits its whole list.
pub(super) fn are_sane(prices: &PriceList) -> bool {
    lines_are_sane(prices.base) && prices.overrides.iter().all(|tier| lines_are_sane(tier.over(prices.base)))
}

fn lines_are_sane(lines: PriceLines) -> bool {
    let PriceLines { prompt, completion, cache_read, cache_write, reasoning, request, image, rare } = lines;
    let RareLines { audio, audio_output, image_output, cache_write_1h } = rare;
    let of_text = [Some(prompt), Some(completion), cache_read, cache_write, reasoning];
    let mut per_token = of_text.into_iter().chain([audio, audio_output, image_output, cache_write_1h]).flatten();
    // Mutant: without the check of the flat fees `a_fee_beyond_all_experience_makes_the_price_unknown` is red.
    !per_token.any(|price| price.is_absurd()) && [request, image].iter().all(|fee| (0..=FLAT_SANE_MAX).contains(fee))
}

/// OpenRouter's priced models, by lower-cased id and canonical slug: their prices stand in for those of gateways that state
/// none.
#[derive(Debug, Default)]
pub(super) struct ReferencePrices {
    ids: HashMap<String, Arc<CatalogEntry>>,
    slugs: HashMap<String, Arc<CatalogEntry>>,
}

impl ReferencePrices {
    pub(super) fn of(openrouter: Option<&GatewayList>) -> Self {
        let mut reference = Self::default();
        for entry in openrouter.iter().flat_map(|list| &list.entries).filter(|entry| entry.prices.is_some()) {
            reference.ids.insert(entry.id.to_lowercase(), Arc::clone(entry));
            // Variants share the slug of what they vary, and `:free` is no price for others.
            if let Some(slug) = entry.canonical_slug.as_ref().filter(|_| !entry.id.contains(':')) {
                reference.slugs.entry(slug.to_lowercase()).or_insert_with(|| Arc::clone(entry));
            }
        }
        reference
    }

    /// The same model: by its id, its id without a leading `@` and a `:suffix`, the id that the gateway itself uses, its
    /// canonical slug; first among OpenRouter's ids, then among its slugs.
    pub(super) fn find(&self, entry: &CatalogEntry) -> Option<&CatalogEntry> {
        if self.ids.is_empty() {
            return None;
        }
        let [id, own] = [entry.id.to_lowercase(), entry.upstream_id.to_lowercase()];
        let slug = entry.canonical_slug.as_deref().map(str::to_lowercase);
        let names = || [Some(id.as_str()), Some(plain(&id)), Some(plain(&own)), slug.as_deref()].into_iter().flatten();
        let found = names().find_map(|name| self.ids.get(name)).or_else(|| names().find_map(|name| self.slugs.get(name)));
        found.map(|twin| &**twin)
    }
}

/// Without a leading `@` and a `:suffix`.
fn plain(id: &str) -> &str {
    let id = id.strip_prefix('@').unwrap_or(id);
    id.split_once(':').map_or(id, |(name, _)| name)
}
