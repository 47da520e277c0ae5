//! Under which names a model is found, and which models of several gateways are the same one.

use super::snapshot::CatalogEntry;
use std::collections::HashMap;
use std::sync::Arc;

type Index = HashMap<Box<str>, Vec<Arc<CatalogEntry>>>;

/// Made once for each snapshot; looked up without allocation, unless a name is not exact.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By id, and by the gateway's own one; behind them the same model at other gateways, whatever they call it.
    exact: Index,
    /// By id and canonical slug, in lower case and without `@`; one entry for each gateway.
    loose: Index,
}

impl Names {
    /// The entries come in the gateways' order.
    pub fn of<'a>(entries: impl Iterator<Item = &'a Arc<CatalogEntry>>) -> Self {
        let mut names = Self::default();
        for entry in entries {
            add(names.exact.entry(entry.id.clone()).or_default(), entry);
            add(names.exact.entry(entry.upstream_id.as_ref().into()).or_default(), entry);
            for name in names_of(entry) {
                add(names.loose.entry(name.into()).or_default(), entry);
            }
        }
        for same in names.exact.values_mut() {
            let Some(first) = same.first().cloned() else { continue };
            for name in names_of(&first) {
                names.loose.get(name.as_str()).into_iter().flatten().for_each(|entry| add(same, entry));
            }
        }
        names
    }

    pub fn exact(&self, id: &str) -> &[Arc<CatalogEntry>] {
        self.exact.get(id).map_or(&[], Vec::as_slice)
    }

    pub fn exact_or_loose(&self, name: &str) -> &[Arc<CatalogEntry>] {
        match self.exact(name) {
            [] => self.loose.get(plain(name).as_str()).map_or(&[], Vec::as_slice),
            found => found,
        }
    }
}

/// One for each gateway.
fn add(entries: &mut Vec<Arc<CatalogEntry>>, entry: &Arc<CatalogEntry>) {
    if !entries.iter().any(|known| known.gateway == entry.gateway) {
        entries.push(Arc::clone(entry));
    }
}

/// A variant (`:free`) shares the slug of what it varies, and is another model.
fn names_of(entry: &CatalogEntry) -> Vec<String> {
    let mut names = vec![plain(&entry.id)];
    let slug = entry.canonical_slug.as_deref().filter(|_| !entry.id.contains(':'));
    // Mutant: with the variants' slugs `a_variant_is_no_stand_in_for_what_it_varies` is red.
    for name in [Some(&*entry.upstream_id), slug].into_iter().flatten().map(plain) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn plain(name: &str) -> String {
    name.strip_prefix('@').unwrap_or(name).to_lowercase()
}
