//! What `/models` can be asked.

use crate::http::error::ApiError;
use serde::Deserialize;
use tollgate_actors::catalog::CatalogEntry;
use tollgate_domain::GatewayId;

/// Which models, and how many of them.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
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

/// Whose list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    All,
    One(GatewayId),
}

impl ModelsQuery {
    /// # Errors
    /// 400 for a gateway that does not exist.
    pub fn choice(&self) -> Result<Choice, ApiError> {
        let name = self.gateway.as_deref().map(str::trim).filter(|name| !name.is_empty());
        match name {
            None => Ok(Choice::One(GatewayId::OpenRouter)),
            Some(name) if name.eq_ignore_ascii_case("all") => Ok(Choice::All),
            Some(name) => GatewayId::parse(name).map(Choice::One).ok_or_else(|| ApiError::bad_request("Invalid gateway")),
        }
    }

    /// Nothing is left out.
    pub fn is_whole(&self) -> bool {
        self.provider().is_none() && self.limit.is_none() && self.offset.unwrap_or(0) == 0
    }

    /// Does the provider's filter let it through?
    pub fn keeps(&self, entry: &CatalogEntry) -> bool {
        let Some(provider) = self.provider() else { return true };
        let is_slug = entry.provider_slug.as_ref().is_some_and(|slug| slug.eq_ignore_ascii_case(provider));
        is_slug || entry.id.to_lowercase().contains(&provider.to_lowercase())
    }

    fn provider(&self) -> Option<&str> {
        self.provider.as_deref().map(str::trim).filter(|provider| !provider.is_empty())
    }
}

impl Choice {
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
}
