//! The catalogue as everybody reads it: immutable, shared, looked up without allocation.

use super::charged;
use super::names::Names;
use super::prices::{self, ReferencePrices};
use super::text::{ListText, Writer, open_text};
use crate::ports::CatalogModel;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tollgate_domain::{GatewayId, PriceList, PricePerMillion};

/// Numbers the snapshots of this process.
static VERSIONS: AtomicU64 = AtomicU64::new(1);

/// What is shown of a model at Portkey that OpenRouter has not, or not with a price.
const NO_PRICING: &str =
    r#"{"prompt":null,"completion":null,"request":null,"image":null,"web_search":null,"internal_reasoning":null}"#;

/// A model as it is sold: what its gateway says of it, and what is charged.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogEntry {
    /// What a caller's `model` is, slashes and all.
    pub id: Box<str>,
    /// What goes upstream as `model`: the gateway's own id.
    pub upstream_id: Arc<str>,
    pub gateway: GatewayId,
    /// The id that is the same at every gateway, where the gateway knows one.
    pub canonical_slug: Option<Box<str>>,
    pub provider_slug: Option<Box<str>>,
    /// Unix seconds; `None` when the gateway does not say.
    pub created: Option<i64>,
    /// The gateway's own prices; `None` when it does not say, or says something absurd.
    pub prices: Option<PriceList>,
    /// What a call costs: `prices`, or what stands in for them.
    pub charged: PriceList,
    /// Tokens; 0 when unknown.
    pub context_length: i64,
    /// Tokens; `None` when unknown.
    pub max_completion_tokens: Option<i64>,
    /// The gateway stated a price that is none.
    pub absurd_price: bool,
    /// The gateway's provider checks what is sent, as far as the gateway says so.
    pub is_moderated: bool,
    /// Where it stands in its gateway's list.
    pub place: u32,
    /// The public `pricing` as JSON: OpenRouter's own, or at Portkey that of the same model at OpenRouter.
    pub(super) pricing: Option<Arc<str>>,
}

impl CatalogEntry {
    /// Takes the adapter's model over. Prices are checked here, for every gateway alike.
    fn new(model: &CatalogModel, place: u32, default: PricePerMillion) -> Self {
        let text = |field: &str| model.public.get(field).and_then(serde_json::Value::as_str).map(Box::from);
        let is_priced = model.prices.is_some();
        let prices = model.prices.clone().filter(prices::are_sane);
        let absurd_price = is_priced && prices.is_none();
        Self {
            canonical_slug: text("canonical_slug"),
            provider_slug: text("provider_slug"),
            created: model.public.get("created").and_then(serde_json::Value::as_i64),
            absurd_price,
            charged: prices.clone().unwrap_or_else(|| PriceList::flat(default)),
            prices,
            gateway: model.gateway,
            context_length: model.context_length.max(0),
            max_completion_tokens: model.max_completion_tokens.filter(|tokens| *tokens > 0),
            is_moderated: model.public.pointer("/top_provider/is_moderated") == Some(&serde_json::Value::Bool(true)),
            place,
            pricing: public_pricing(model.gateway, &model.public),
            upstream_id: model.upstream_id.as_deref().unwrap_or(&model.id).into(),
            id: model.id.as_str().into(),
        }
    }

    /// Who made it: `provider_slug`, or the gateway where nobody is named.
    #[must_use]
    pub fn maker(&self) -> &str {
        self.provider_slug.as_deref().unwrap_or(self.gateway.as_str())
    }

    /// Appends what depends on other lists than the entry's own, as members of its JSON object.
    pub(super) fn write_pricing(&self, out: &mut String) {
        if self.gateway == GatewayId::Portkey {
            let _ = write!(out, "\"pricing\":{},", self.pricing.as_deref().unwrap_or(NO_PRICING));
        }
        out.push_str("\"charged_pricing\":");
        charged::write(&self.charged, out);
    }
}

/// OpenRouter's, to be shown at Portkey, too (`contract.md` A.1).
fn public_pricing(gateway: GatewayId, public: &serde_json::Value) -> Option<Arc<str>> {
    let stated = public.get("pricing").filter(|_| gateway == GatewayId::OpenRouter)?;
    Some(stated.to_string().into())
}

/// One gateway's list. A clone shares its text and its entries.
#[derive(Clone, Debug)]
pub struct GatewayList {
    pub gateway: GatewayId,
    /// When the gateway answered, which may be before this process began.
    pub fetched_at: DateTime<Utc>,
    /// In the gateway's order, each id once.
    pub entries: Vec<Arc<CatalogEntry>>,
    text: ListText,
}

impl GatewayList {
    /// Takes an adapter's list over. Of two models with one id the first is kept.
    #[must_use]
    pub fn new(
        gateway: GatewayId,
        fetched_at: DateTime<Utc>,
        models: impl IntoIterator<Item = CatalogModel>,
        default: PricePerMillion,
    ) -> Self {
        Self { gateway, fetched_at, entries: Vec::new(), text: ListText::default() }.followed_by(fetched_at, models, default)
    }

    /// The gateway's next list. What is as in this one is shared with it.
    #[must_use]
    pub fn followed_by(
        &self,
        fetched_at: DateTime<Utc>,
        models: impl IntoIterator<Item = CatalogModel>,
        default: PricePerMillion,
    ) -> Self {
        let (gateway, models) = (self.gateway, models.into_iter());
        let expected = models.size_hint().1.unwrap_or_default();
        let (mut seen, mut entries, mut text) = (HashSet::new(), Vec::new(), Writer::after(self.text.clone(), expected));
        for model in models {
            if model.gateway != gateway || model.id.is_empty() || !seen.insert(model.id.clone()) {
                continue;
            }
            let place = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            let entry = CatalogEntry::new(&model, place, default);
            let open = open_text(model, entry.maker());
            if text.push(&open, &entry) {
                let before = self.entries.get(entries.len()).filter(|before| ***before == entry);
                entries.push(before.map_or_else(|| Arc::new(entry), Arc::clone));
            }
        }
        entries.shrink_to_fit();
        Self { gateway, fetched_at, entries, text: text.finish() }
    }

    /// The entries as the doors show them.
    #[must_use]
    pub const fn text(&self) -> &ListText {
        &self.text
    }

    /// Models that are charged at a price that is not their gateway's.
    #[must_use]
    pub fn unknown_prices(&self) -> usize {
        self.entries.iter().filter(|entry| entry.prices.is_none()).count()
    }

    /// The list with what each model of unknown price is charged now.
    fn charged_at(&self, reference: &ReferencePrices, default: PricePerMillion) -> Self {
        let charge = |entry: &Arc<CatalogEntry>| {
            let twin = if entry.prices.is_none() { reference.find(entry) } else { None };
            let stated = entry.prices.as_ref().or_else(|| twin?.prices.as_ref());
            let charged = stated.cloned().unwrap_or_else(|| PriceList::flat(default));
            let pricing = match entry.gateway {
                GatewayId::Portkey => twin.and_then(|twin| twin.pricing.clone()),
                _ => entry.pricing.clone(),
            };
            let is_as_before = charged == entry.charged && pricing == entry.pricing;
            if is_as_before { Arc::clone(entry) } else { Arc::new(CatalogEntry { charged, pricing, ..(**entry).clone() }) }
        };
        let entries: Vec<Arc<CatalogEntry>> = self.entries.iter().map(charge).collect();
        let as_before = entries.iter().zip(&self.entries).all(|(new, old)| Arc::ptr_eq(new, old));
        let text = if as_before { self.text.clone() } else { self.text.charged_anew(&entries) };
        Self { gateway: self.gateway, fetched_at: self.fetched_at, entries, text }
    }
}

/// All lists at one moment.
#[derive(Debug, Default)]
pub struct CatalogSnapshot {
    version: u64,
    lists: BTreeMap<GatewayId, GatewayList>,
    names: Names,
    merged: Vec<Arc<CatalogEntry>>,
}

impl CatalogSnapshot {
    /// The first gateway's model of that id. Ids are compared byte by byte.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Arc<CatalogEntry>> {
        self.candidates(id).first()
    }

    /// Every gateway's model of that id, then the same model at the gateways that call it otherwise: in the order in which
    /// they are to be tried.
    #[must_use]
    pub fn candidates(&self, id: &str) -> &[Arc<CatalogEntry>] {
        self.names.exact(id)
    }

    /// [`candidates`](Self::candidates), or, where no id is exactly that, those whose id or canonical slug is the same but
    /// for case and a leading `@`.
    #[must_use]
    pub fn resolve(&self, name: &str) -> &[Arc<CatalogEntry>] {
        self.names.exact_or_loose(name)
    }

    /// One gateway's list; `None` while it has none (off, or not yet answered).
    #[must_use]
    pub fn list(&self, gateway: GatewayId) -> Option<&GatewayList> {
        self.lists.get(&gateway)
    }

    /// The lists there are, in gateway order.
    pub fn lists(&self) -> impl Iterator<Item = &GatewayList> {
        self.lists.values()
    }

    /// All lists as one: in gateway order, without what an earlier gateway has under the same canonical slug (or id).
    #[must_use]
    pub fn merged(&self) -> &[Arc<CatalogEntry>] {
        &self.merged
    }

    /// The entry of this snapshot as a JSON object: the public fields, then `charged_pricing`.
    #[must_use]
    pub fn text_of(&self, entry: &CatalogEntry) -> Bytes {
        let place = entry.place..entry.place.saturating_add(1);
        self.list(entry.gateway).map_or_else(Bytes::new, |list| list.text().slice(place))
    }

    /// Differs between any two snapshots of a process; 0 for the empty one.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// This snapshot with one list put in or replaced, and everything that follows from it: an OpenRouter price also
    /// prices the models of gateways that state none.
    #[must_use]
    pub fn with(&self, list: &GatewayList, default: PricePerMillion) -> Self {
        let reference = match list.gateway {
            GatewayId::OpenRouter => ReferencePrices::of(Some(list)),
            _ => ReferencePrices::of(self.list(GatewayId::OpenRouter)),
        };
        let others = self.lists.values().filter(|other| other.gateway != list.gateway);
        let charged = others.chain([list]).map(|list| (list.gateway, list.charged_at(&reference, default)));
        let lists: BTreeMap<GatewayId, GatewayList> = charged.collect();
        let names = Names::of(lists.values().flat_map(|list| &list.entries));
        Self { version: VERSIONS.fetch_add(1, Ordering::Relaxed), merged: merge(&lists), lists, names }
    }
}

fn merge(lists: &BTreeMap<GatewayId, GatewayList>) -> Vec<Arc<CatalogEntry>> {
    let mut seen = HashSet::new();
    let mut merged = Vec::new();
    let name = |entry: &CatalogEntry| entry.canonical_slug.as_ref().unwrap_or(&entry.id).to_lowercase();
    for list in lists.values() {
        merged.extend(list.entries.iter().filter(|entry| !seen.contains(&name(entry))).map(Arc::clone));
        // Only now: variants of one gateway (`:free`) share their slug, and each is a model.
        seen.extend(list.entries.iter().map(|entry| name(entry)));
    }
    merged
}
