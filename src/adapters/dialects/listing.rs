//! A model as gateways other than OpenRouter list it, and its public entry (`contract.md` A.1, per-gateway normalisation).

use crate::adapters::providers;
use serde_json::{Map, Value, json};
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::{GatewayId, PriceLines, PricePerMillion};

/// What a list says of one model. What it does not say stays as [`Listing::new`] makes it.
pub(super) struct Listing<'a> {
    pub gateway: GatewayId,
    /// What a caller's `model` is.
    pub id: &'a str,
    /// The gateway's own id, where callers use another.
    pub upstream_id: Option<&'a str>,
    /// The id that is the same at other gateways.
    pub canonical_slug: String,
    pub name: String,
    pub description: String,
    /// Unix seconds.
    pub created: Option<i64>,
    pub context_length: Option<i64>,
    pub max_completion_tokens: Option<i64>,
    pub sees_images: bool,
    pub prices: Option<PriceLines>,
    /// `pricing` is not shown here, but by the catalogue, which knows the other lists.
    pub priced_elsewhere: bool,
}

impl<'a> Listing<'a> {
    /// A model that has an id and nothing else.
    pub fn new(gateway: GatewayId, label: &str, id: &'a str) -> Self {
        Self {
            gateway,
            id,
            upstream_id: None,
            canonical_slug: id.to_owned(),
            name: title(last_part(id)),
            description: format!("{label} catalog entry for {id}."),
            created: None,
            context_length: None,
            max_completion_tokens: None,
            sees_images: false,
            prices: None,
            priced_elsewhere: false,
        }
    }

    pub fn into_model(self) -> CatalogModel {
        CatalogModel {
            id: self.id.to_owned(),
            upstream_id: self.upstream_id.map(str::to_owned),
            gateway: self.gateway,
            prices: self.prices.map(Into::into),
            context_length: self.context_length.unwrap_or(0),
            max_completion_tokens: self.max_completion_tokens,
            public: self.public(),
        }
    }

    fn public(&self) -> Value {
        let own = self.upstream_id.unwrap_or(self.id).trim_start_matches('@');
        let provider = own.split_once('/').map(|(provider, _)| provider).filter(|provider| !provider.is_empty());
        let provider = provider.unwrap_or(self.gateway.as_str());
        let (modality, inputs): (_, &[&str]) =
            if self.sees_images { ("text+image->text", &["text", "image"]) } else { ("text->text", &["text"]) };
        let mut public = json!({
            "id": self.id,
            "slug": self.id,
            "canonical_slug": self.canonical_slug,
            "hugging_face_id": null,
            "name": self.name,
            "created": self.created,
            "description": self.description,
            "context_length": self.context_length.unwrap_or(0),
            "architecture": {
                "modality": modality, "input_modalities": inputs, "output_modalities": ["text"],
                "tokenizer": null, "instruct_type": null,
            },
            "pricing": pricing(self.prices.as_ref()),
            "top_provider": null,
            "per_request_limits": null,
            "supported_parameters": [],
            "default_parameters": {},
            "provider_slug": provider,
            "provider_site_url": providers::site_url(provider),
            "model_logo_url": providers::logo_url(provider),
            "source_gateway": self.gateway.as_str(),
        });
        if let Some(fields) = public.as_object_mut().filter(|_| self.priced_elsewhere) {
            fields.shift_remove("pricing");
        }
        public
    }
}

/// Six lines that are always there, null when unknown, and those of caches where they are stated.
fn pricing(prices: Option<&PriceLines>) -> Value {
    let shown = |price: PricePerMillion| (!price.is_absurd()).then(|| price.to_usd_per_token());
    let line = |of: fn(&PriceLines) -> Option<PricePerMillion>| prices.and_then(of).and_then(shown);
    let mut all: Map<String, Value> = Map::new();
    all.insert("prompt".to_owned(), line(|lines| Some(lines.prompt)).into());
    all.insert("completion".to_owned(), line(|lines| Some(lines.completion)).into());
    for unknown in ["request", "image", "web_search", "internal_reasoning"] {
        all.insert(unknown.to_owned(), Value::Null);
    }
    let caches = [("input_cache_read", line(|lines| lines.cache_read)), ("input_cache_write", line(|lines| lines.cache_write))];
    all.extend(caches.into_iter().filter_map(|(name, price)| Some((name.to_owned(), price?.into()))));
    Value::Object(all)
}

/// The line of a kind of tokens that may have a price of its own. No gateway gives cached tokens away: zero says that there
/// is no such price.
pub(super) fn own_line(price: Option<PricePerMillion>) -> Option<PricePerMillion> {
    price.filter(|price| price.0 != 0)
}

/// `zai-org/GLM-4.5` is called `GLM-4.5`.
pub(super) fn last_part(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// `-` and `_` are blanks; the first of letters in a row is large, the others small (the existing backend's rule).
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for letter in text.chars().map(|letter| if matches!(letter, '-' | '_') { ' ' } else { letter }) {
        if in_word {
            out.extend(letter.to_lowercase());
        } else {
            out.extend(letter.to_uppercase());
        }
        in_word = letter.is_alphabetic();
    }
    out
}
