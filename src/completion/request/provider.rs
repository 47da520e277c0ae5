//! `provider`: a gateway's name, or OpenRouter's object (decision 24).

use super::rules;
use crate::http::error::ApiError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tollgate_domain::GatewayId;

/// Who shall serve a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Provider {
    #[default]
    Any,
    Gateway(GatewayId),
    Wishes(Box<Wishes>),
}

/// OpenRouter's preferences. Its names are those of OpenRouter's providers, and of our gateways.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wishes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_fallbacks: Option<bool>,
    /// `"price"`, or an object with `by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Value>,
    /// `data_collection`, `zdr`, `quantizations`, `max_price`, …: only OpenRouter can heed them.
    #[serde(flatten)]
    pub demands: Map<String, Value>,
}

/// What of `provider` goes to OpenRouter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForOpenRouter {
    /// The client's own bytes.
    AsItStands,
    /// JSON.
    Instead(String),
    Nothing,
}

impl Provider {
    /// Reads the member.
    ///
    /// # Errors
    /// 400 for a name that no gateway has, or an object of another form.
    pub fn read(value: &str) -> Result<Self, ApiError> {
        if value.starts_with('{') {
            return Ok(Self::Wishes(rules::typed("provider", value, "OpenRouter's provider preferences")?));
        }
        let name: Option<String> = rules::typed("provider", value, "a string or an object")?;
        match name.as_deref() {
            None | Some("") => Ok(Self::Any),
            Some(name) => {
                let gateway = GatewayId::parse(name).ok_or_else(|| rules::invalid("provider", "no gateway has this name"))?;
                Ok(Self::Gateway(gateway))
            }
        }
    }
}

impl Wishes {
    pub fn is_by_price(&self) -> bool {
        let sort = self.sort.as_ref();
        sort.and_then(|sort| sort.as_str().or_else(|| sort.get("by")?.as_str())) == Some("price")
    }

    /// The object without the names of these gateways.
    pub fn without(&self, ours: &[GatewayId]) -> ForOpenRouter {
        let theirs = |names: &Option<Vec<String>>| {
            let is_theirs = |name: &&String| !GatewayId::parse(name).is_some_and(|gateway| ours.contains(&gateway));
            let theirs: Vec<String> = names.iter().flatten().filter(is_theirs).cloned().collect();
            (!theirs.is_empty()).then_some(theirs)
        };
        let rest = Self { order: theirs(&self.order), only: theirs(&self.only), ignore: theirs(&self.ignore), ..self.clone() };
        let count =
            |wishes: &Self| [&wishes.order, &wishes.only, &wishes.ignore].into_iter().flatten().map(Vec::len).sum::<usize>();
        if count(&rest) == count(self) {
            return ForOpenRouter::AsItStands;
        }
        match serde_json::to_string(&rest) {
            Ok(text) if text != "{}" => ForOpenRouter::Instead(text),
            _ => ForOpenRouter::Nothing,
        }
    }
}
