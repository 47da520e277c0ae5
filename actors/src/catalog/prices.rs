//! Which stated prices are believed, and what is charged where none is (decision 4).

use super::snapshot::{CatalogEntry, GatewayList};
use std::collections::HashMap;
use tollgate_domain::{PriceLines, PriceList};

/// Ten dollars for one request or one image, in nano-dollars: above it a unit was mixed up.
const FLAT_SANE_MAX: i64 = 10_000_000_000;

/// No line of any tier is negative or beyond all experience. One absurd line discredits its whole list.
pub(super) fn are_sane(prices: &PriceList) -> bool {
    lines_are_sane(prices.base) && prices.overrides.iter().all(|tier| lines_are_sane(tier.over(prices.base)))
}

fn lines_are_sane(lines: PriceLines) -> bool {
    let PriceLines { prompt, completion, cache_read, cache_write, reasoning, request, image } = lines;
    let per_token = [Some(prompt), Some(completion), cache_read, cache_write, reasoning];
    // Mutant: without the check of the flat fees `a_fee_beyond_all_experience_makes_the_price_unknown` is red.
    !per_token.into_iter().flatten().any(|price| price.is_absurd())
        && [request, image].iter().all(|fee| (0..=FLAT_SANE_MAX).contains(fee))
}

/// OpenRouter's prices, by lower-cased id and canonical slug: they stand in for those of gateways that state none.
#[derive(Debug, Default)]
pub(super) struct ReferencePrices(HashMap<String, PriceList>);

impl ReferencePrices {
    pub(super) fn of(openrouter: Option<&GatewayList>) -> Self {
        let mut prices = HashMap::new();
        let priced =
            || openrouter.iter().flat_map(|list| &list.entries).filter_map(|entry| Some((entry, entry.prices.as_ref()?)));
        for (entry, lines) in priced() {
            prices.insert(entry.id.to_lowercase(), lines.clone());
        }
        // Variants share the slug of what they vary, and `:free` is no price for others.
        for (entry, lines) in priced().filter(|(entry, _)| !entry.id.contains(':')) {
            if let Some(slug) = &entry.canonical_slug {
                prices.entry(slug.to_lowercase()).or_insert_with(|| lines.clone());
            }
        }
        Self(prices)
    }

    /// The price of the same model: by its id, its id without a leading `@` and a `:suffix`, its canonical slug.
    pub(super) fn find(&self, entry: &CatalogEntry) -> Option<PriceList> {
        if self.0.is_empty() {
            return None;
        }
        let id = entry.id.to_lowercase();
        let plain = id.strip_prefix('@').unwrap_or(&id);
        let plain = plain.split_once(':').map_or(plain, |(name, _)| name);
        let slug = entry.canonical_slug.as_deref().map(str::to_lowercase);
        [Some(id.as_str()), Some(plain), slug.as_deref()].into_iter().flatten().find_map(|name| self.0.get(name)).cloned()
    }
}
