//! Who makes the models: `GET /models/providers` counts them, `GET /catalog/provider` lists them.

use super::answer::{self, Document};
use super::query::{Choice, MakersQuery, PageQuery, Slice};
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::startup::Services;
use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use tollgate_actors::catalog::{CatalogEntry, CatalogSnapshot};
use tollgate_domain::GatewayId;
use utoipa::ToSchema;

/// A maker of models, by the first part of their ids.
#[derive(Debug)]
pub struct Maker {
    slug: String,
    name: String,
    site_url: Option<String>,
    logo_url: Option<String>,
    is_moderated: bool,
    /// In gateway order, each once.
    gateways: Vec<GatewayId>,
    models: u32,
    /// Models whose price its gateway states.
    priced: u32,
}

/// What the first model of a maker tells of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct FirstModel {
    name: Option<String>,
    provider_site_url: Option<String>,
    model_logo_url: Option<String>,
}

impl Maker {
    /// The makers of the choice's models, those of most models first.
    pub(super) fn all(choice: Choice, snapshot: &CatalogSnapshot) -> Vec<Self> {
        let mut makers: HashMap<String, Self> = HashMap::new();
        for entry in choice.entries(snapshot) {
            let slug = entry.maker().trim_start_matches('@').to_lowercase();
            let maker = makers.entry(slug).or_insert_with_key(|slug| Self::first_seen(slug, entry, snapshot));
            maker.models += 1;
            maker.priced += u32::from(entry.prices.is_some());
            maker.is_moderated |= entry.gateway == GatewayId::OpenRouter && entry.is_moderated;
            if maker.gateways.last() != Some(&entry.gateway) {
                maker.gateways.push(entry.gateway);
            }
        }
        let mut makers: Vec<Self> = makers.into_values().collect();
        makers.sort_unstable_by(|one, other| other.models.cmp(&one.models).then_with(|| one.slug.cmp(&other.slug)));
        makers
    }

    fn first_seen(slug: &str, entry: &CatalogEntry, snapshot: &CatalogSnapshot) -> Self {
        let first: FirstModel = serde_json::from_slice(&snapshot.text_of(entry)).unwrap_or_default();
        // OpenRouter begins a model's name with its maker's: "Mistral: Nemo".
        let named = first.name.as_deref().and_then(|name| name.split_once(": ")).map(|(maker, _)| maker.to_owned());
        Self {
            slug: slug.to_owned(),
            name: named.unwrap_or_else(|| title(slug)),
            site_url: first.provider_site_url,
            logo_url: first.model_logo_url,
            is_moderated: false,
            gateways: Vec::new(),
            models: 0,
            priced: 0,
        }
    }
}

/// `z-ai` as "Z Ai".
fn title(slug: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(letters).collect::<String>()
    };
    slug.split(['-', '_']).map(word).collect::<Vec<_>>().join(" ")
}

/// Statistics of the makers
#[derive(Serialize, ToSchema)]
pub struct ProvidersResponse {
    #[schema(example = "success")]
    status: &'static str,
    provider_statistics: ProviderStatistics,
    timestamp: DateTime<Utc>,
}

/// How many models there are, and whose
#[derive(Serialize, ToSchema)]
pub struct ProviderStatistics {
    total_providers: usize,
    total_models: usize,
    /// Always 0: no gateway suggests.
    suggested_models: usize,
    /// Models whose price their gateway states.
    pricing_available: usize,
    /// By the first part of the models' ids.
    providers: BTreeMap<String, ProviderCount>,
}

/// One maker's models
#[derive(Serialize, ToSchema)]
pub struct ProviderCount {
    name: String,
    model_count: u32,
    suggested_models: u32,
    pricing_available: u32,
    #[serde(flatten)]
    links: Links,
}

/// Where a maker lives on the web; null where nobody says
#[derive(Serialize, ToSchema)]
pub struct Links {
    #[schema(required)]
    logo_url: Option<String>,
    #[schema(required)]
    site_url: Option<String>,
    #[schema(required)]
    privacy_policy_url: Option<String>,
    #[schema(required)]
    terms_of_service_url: Option<String>,
    #[schema(required)]
    status_page_url: Option<String>,
}

/// A page of makers
#[derive(Serialize, ToSchema)]
pub struct MakersPage {
    data: Vec<MakerRow>,
    /// Before paging.
    total: usize,
    returned: usize,
    offset: usize,
    #[schema(required)]
    limit: Option<usize>,
    #[schema(example = "all")]
    gateway: &'static str,
    timestamp: DateTime<Utc>,
}

/// A maker of models
#[derive(Serialize, ToSchema)]
pub struct MakerRow {
    #[schema(example = "openai")]
    slug: String,
    name: String,
    /// OpenRouter says of a model of theirs that it is moderated.
    moderated_by_openrouter: bool,
    /// The first of `source_gateways`.
    #[schema(example = "openrouter")]
    source_gateway: &'static str,
    source_gateways: Vec<&'static str>,
    model_count: u32,
    pricing_available: u32,
    #[serde(flatten)]
    links: Links,
}

impl Maker {
    fn links(&self) -> Links {
        Links {
            logo_url: self.logo_url.clone(),
            site_url: self.site_url.clone(),
            privacy_policy_url: None,
            terms_of_service_url: None,
            status_page_url: None,
        }
    }

    fn row(&self) -> MakerRow {
        let source_gateways: Vec<_> = self.gateways.iter().map(|gateway| gateway.as_str()).collect();
        MakerRow {
            slug: self.slug.clone(),
            name: self.name.clone(),
            moderated_by_openrouter: self.is_moderated,
            source_gateway: source_gateways.first().copied().unwrap_or_default(),
            source_gateways,
            model_count: self.models,
            pricing_available: self.priced,
            links: self.links(),
        }
    }

    fn count(&self) -> ProviderCount {
        ProviderCount {
            name: self.name.clone(),
            model_count: self.models,
            suggested_models: 0,
            pricing_available: self.priced,
            links: self.links(),
        }
    }
}

/// How many models each maker has
#[utoipa::path(
    tag = "models",
    security(()),
    params(MakersQuery),
    responses(
        (status = 200, description = "The counts", body = ProvidersResponse),
        (status = 304, description = "They still are those of `If-None-Match`"),
        (status = 400, description = "No such gateway"),
        (status = 503, description = "The gateway is off, or has not answered yet"),
    )
)]
#[get("/models/providers")]
pub async fn model_providers(
    request: HttpRequest,
    query: Query<MakersQuery>,
    services: web::Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let snapshot = services.actors.catalog.snapshot();
    let choice = Choice::of(query.0.gateway.as_deref(), Choice::All)?;
    let entries = choice.known_entries(&snapshot)?;
    let makers = services.models.makers(&snapshot, choice);
    let makers = makers.get().map(Vec::as_slice).unwrap_or_default();
    let body = ProvidersResponse {
        status: "success",
        provider_statistics: ProviderStatistics {
            total_providers: makers.len(),
            total_models: entries.len(),
            suggested_models: 0,
            pricing_available: entries.iter().filter(|entry| entry.prices.is_some()).count(),
            providers: makers.iter().map(|maker| (maker.slug.clone(), maker.count())).collect(),
        },
        timestamp: choice.fetched_at(&snapshot),
    };
    Ok(answer::answer(&request, &services, snapshot.clone(), Document::of_json(&body, &snapshot, &request)?).await)
}

/// Who makes the models
#[utoipa::path(
    tag = "models",
    security(()),
    params(MakersQuery, PageQuery),
    responses(
        (status = 200, description = "The makers", body = MakersPage),
        (status = 304, description = "They still are those of `If-None-Match`"),
        (status = 400, description = "No such gateway"),
        (status = 422, description = "A query of a wrong shape"),
        (status = 503, description = "The gateway is off, or has not answered yet"),
    )
)]
#[get("/catalog/provider")]
pub async fn catalog_provider(
    request: HttpRequest,
    query: Query<MakersQuery>,
    page: Query<PageQuery>,
    services: web::Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let snapshot = services.actors.catalog.snapshot();
    let choice = Choice::of(query.0.gateway.as_deref(), Choice::All)?;
    choice.known_entries(&snapshot)?;
    let makers = services.models.makers(&snapshot, choice);
    let kept = makers.get().into_iter().flatten().filter(|maker| maker.is_moderated || !query.0.moderated_only.unwrap_or(false));
    let Slice { shown, total } = page.0.cut(kept);
    let data: Vec<MakerRow> = shown.into_iter().map(Maker::row).collect();
    let timestamp = choice.fetched_at(&snapshot);
    let (offset, limit) = (page.0.offset(), page.0.limit());
    let body = MakersPage { total, returned: data.len(), data, offset, limit, gateway: choice.name(), timestamp };
    Ok(answer::answer(&request, &services, snapshot.clone(), Document::of_json(&body, &snapshot, &request)?).await)
}
