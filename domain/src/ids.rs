//! Ids as types, so that a key's id can't be passed where a user's is asked.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

numeric_id!(
    /// A user: `users.id`.
    UserId
);
numeric_id!(
    /// An API key: `api_keys.id`.
    KeyId
);
numeric_id!(
    /// A ledger account: `accounts.id`.
    AccountId
);
numeric_id!(
    /// A plan: `plans.id`.
    PlanId
);
numeric_id!(
    /// A chat session: `chat_sessions.id`.
    SessionId
);
uuid_id!(
    /// A hold: made by the caller (UUIDv7), so that a retry under the same id has one effect.
    HoldId
);
uuid_id!(
    /// A ledger operation other than a hold (grant, credit, debit), made by the caller.
    OperationId
);

/// Our own id of one model call, `gen-` + 32 hex digits: the hold's id in another spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GenerationId(String);

impl GenerationId {
    /// The generation that the hold pays for.
    #[must_use]
    pub fn of(hold: HoldId) -> Self {
        Self(format!("gen-{}", hold.0.simple()))
    }

    /// The hold behind a generation id, or `None` for text that is no id of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<HoldId> {
        Uuid::try_parse(text.strip_prefix("gen-")?).ok().map(HoldId)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The model gateways that Tollgate can call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayId {
    OpenRouter,
    Portkey,
    Featherless,
    Chutes,
    Glama,
    Requesty,
    Aiml,
    A4f,
    OpenAi,
    Anthropic,
}

impl GatewayId {
    /// Every gateway, in the order in which catalogues are merged.
    pub const ALL: [Self; 10] = [
        Self::OpenRouter,
        Self::Portkey,
        Self::Featherless,
        Self::Chutes,
        Self::Glama,
        Self::Requesty,
        Self::Aiml,
        Self::A4f,
        Self::OpenAi,
        Self::Anthropic,
    ];

    /// The name in settings, queries and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenRouter => "openrouter",
            Self::Portkey => "portkey",
            Self::Featherless => "featherless",
            Self::Chutes => "chutes",
            Self::Glama => "glama",
            Self::Requesty => "requesty",
            Self::Aiml => "aiml",
            Self::A4f => "a4f",
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    /// The gateway of that name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|gateway| gateway.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for GatewayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_id_leads_back_to_its_hold() {
        let hold = HoldId(Uuid::now_v7());
        assert_eq!(GenerationId::parse(GenerationId::of(hold).as_str()), Some(hold));
        assert_eq!(GenerationId::parse("chatcmpl-1"), None);
    }

    #[test]
    fn every_gateway_is_found_by_its_name_in_any_case() {
        for gateway in GatewayId::ALL {
            assert_eq!(GatewayId::parse(&gateway.as_str().to_uppercase()), Some(gateway));
        }
    }
}
