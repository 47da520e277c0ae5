//! What the catalogue's doors can be asked.

use crate::http::error::ApiError;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tollgate_actors::catalog::{CatalogEntry, CatalogSnapshot};
use tollgate_domain::GatewayId;
use utoipa::IntoParams;

/// When a list that is missing may be there: gateways are asked again after some seconds.
const RETRY_LIST: Duration = Duration::from_secs(5);

/// Which models, and how many of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ModelsQuery {
    /// A gateway's name or `all`, in any case; default `openrouter`.
    #[param(example = "openrouter")]
    pub gateway: Option<String>,
    /// Keeps models whose id holds it, or whose `provider_slug` it is, in any case.
    pub provider: Option<String>,
    /// At most so many models.
    pub limit: Option<u32>,
    /// After so many models.
    pub offset: Option<u32>,
    /// Taken and not used: there are no Hugging Face metrics here.
    #[expect(dead_code, reason = "clients send it; it is described so that they know what comes of it")]
    pub include_huggingface: Option<String>,
}

/// Which makers.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MakersQuery {
    /// A gateway's name or `all`, in any case; default `all`.
    pub gateway: Option<String>,
    /// Only those of whom OpenRouter moderates a model.
    pub moderated_only: Option<bool>,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// At most so many.
    pub limit: Option<u32>,
    /// After so many.
    pub offset: Option<u32>,
}

/// What is shown of a list, and how much there is.
pub struct Slice<T> {
    pub shown: Vec<T>,
    pub total: usize,
}

/// Whose list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    All,
    One(GatewayId),
}

impl ModelsQuery {
    pub const fn page(&self) -> PageQuery {
        PageQuery { limit: self.limit, offset: self.offset }
    }

    /// The entries that the provider's filter lets through.
    pub fn kept<'a>(&self, entries: &'a [Arc<CatalogEntry>]) -> impl Iterator<Item = &'a CatalogEntry> {
        let provider = self.provider.as_deref().map(str::trim).filter(|provider| !provider.is_empty()).map(str::to_lowercase);
        let keeps = move |entry: &&CatalogEntry| match &provider {
            None => true,
            Some(provider) => {
                let is_slug = entry.provider_slug.as_ref().is_some_and(|slug| slug.eq_ignore_ascii_case(provider));
                is_slug || entry.id.to_lowercase().contains(provider.as_str())
            }
        };
        entries.iter().map(|entry| &**entry).filter(keeps)
    }
}

impl PageQuery {
    pub fn offset(self) -> usize {
        self.offset.and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0)
    }

    pub fn limit(self) -> Option<usize> {
        self.limit.and_then(|limit| usize::try_from(limit).ok())
    }

    /// Cuts the page out of all that there is.
    pub fn cut<T>(self, all: impl Iterator<Item = T>) -> Slice<T> {
        let (offset, limit) = (self.offset(), self.limit().unwrap_or(usize::MAX));
        let (mut shown, mut total) = (Vec::new(), 0);
        for item in all {
            if total >= offset && shown.len() < limit {
                shown.push(item);
            }
            total += 1;
        }
        Slice { shown, total }
    }
}

impl Choice {
    /// # Errors
    /// 400 for a gateway that does not exist.
    pub fn of(name: Option<&str>, default: Self) -> Result<Self, ApiError> {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        match name {
            None => Ok(default),
            Some(name) if name.eq_ignore_ascii_case("all") => Ok(Self::All),
            Some(name) => GatewayId::parse(name).map(Self::One).ok_or_else(unknown_gateway),
        }
    }

    /// As the answer shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::One(gateway) => gateway.as_str(),
        }
    }

    /// The answer's `note`.
    pub const fn note(self) -> &'static str {
        match self {
            Self::All => "Combined catalog of all gateways that are on",
            Self::One(GatewayId::OpenRouter) => "OpenRouter catalog",
            Self::One(GatewayId::Portkey) => "Portkey catalog",
            Self::One(GatewayId::Featherless) => "Featherless catalog",
            Self::One(GatewayId::Chutes) => "Chutes catalog",
            Self::One(GatewayId::Glama) => "Glama catalog",
            Self::One(GatewayId::Requesty) => "Requesty catalog",
            Self::One(GatewayId::Aiml) => "AIML catalog",
            Self::One(GatewayId::A4f) => "A4F catalog",
            Self::One(GatewayId::OpenAi) => "OpenAI catalog",
            Self::One(GatewayId::Anthropic) => "Anthropic catalog",
        }
    }

    /// The models there are.
    pub fn entries(self, snapshot: &CatalogSnapshot) -> &[Arc<CatalogEntry>] {
        match self {
            Self::All => snapshot.merged(),
            Self::One(gateway) => snapshot.list(gateway).map_or(&[][..], |list| &list.entries),
        }
    }

    /// The models there are.
    ///
    /// # Errors
    /// 503 when there are none: the gateway is off, or has not answered yet.
    pub fn known_entries(self, snapshot: &CatalogSnapshot) -> Result<&[Arc<CatalogEntry>], ApiError> {
        Some(self.entries(snapshot)).filter(|entries| !entries.is_empty()).ok_or_else(no_list)
    }

    /// When the newest of its lists was fetched.
    pub fn fetched_at(self, snapshot: &CatalogSnapshot) -> DateTime<Utc> {
        let chosen = snapshot.lists().filter(|list| self == Self::All || self == Self::One(list.gateway));
        chosen.map(|list| list.fetched_at).max().unwrap_or_default()
    }
}

fn unknown_gateway() -> ApiError {
    let names: Vec<&str> = GatewayId::ALL.iter().map(|gateway| gateway.as_str()).collect();
    ApiError::bad_request(format!("Invalid gateway. Must be one of: all, {}", names.join(", ")))
}

/// 503 in the contract's words.
pub fn no_list() -> ApiError {
    ApiError::unavailable(RETRY_LIST).with_message("Models data unavailable")
}
