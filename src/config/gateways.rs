//! Model providers: a name, a key, an address.

use super::{ConfigError, Reader};
use secrecy::SecretString;
use tollgate_domain::GatewayId;

/// One gateway that is on.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    pub id: GatewayId,
    pub api_key: SecretString,
    /// Without a slash at its end; `/models` and `/chat/completions` come behind it.
    pub base_url: String,
}

/// `OPENROUTER_API_KEY`, `OPENROUTER_BASE_URL` and so on: a gateway without a key is off.
#[derive(Clone, Debug)]
pub struct GatewaysSettings {
    /// Those that are on, in the order of [`GatewayId::ALL`].
    pub on: Vec<GatewaySettings>,
}

impl GatewaysSettings {
    pub(super) fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        let mut on = Vec::new();
        for id in GatewayId::ALL {
            let prefix = id.as_str().to_ascii_uppercase();
            // Checked for gateways that are off, too: a wrong address shall not wait for its key.
            let base_url = env.http_url(&format!("{prefix}_BASE_URL"))?;
            let name = format!("{prefix}_API_KEY");
            let Some(key) = env.text(&name) else { continue };
            // It travels in a header.
            if !key.chars().all(|letter| letter.is_ascii_graphic()) {
                return Err(ConfigError::wrong_secret(&name, &key, "a key without blanks"));
            }
            let base_url = base_url.unwrap_or_else(|| default_base_url(id).to_owned());
            on.push(GatewaySettings { id, api_key: key.into(), base_url });
        }
        Ok(Self { on })
    }

    pub fn get(&self, id: GatewayId) -> Option<&GatewaySettings> {
        self.on.iter().find(|gateway| gateway.id == id)
    }
}

/// As the providers' own documentation gives them for OpenAI's clients.
pub const fn default_base_url(id: GatewayId) -> &'static str {
    match id {
        GatewayId::OpenRouter => "https://openrouter.ai/api/v1",
        GatewayId::Portkey => "https://api.portkey.ai/v1",
        GatewayId::Featherless => "https://api.featherless.ai/v1",
        GatewayId::Chutes => "https://llm.chutes.ai/v1",
        GatewayId::Glama => "https://glama.ai/api/gateway/openai/v1",
        GatewayId::Requesty => "https://router.requesty.ai/v1",
        GatewayId::Aiml => "https://api.aimlapi.com/v1",
        GatewayId::A4f => "https://api.a4f.co/v1",
        GatewayId::OpenAi => "https://api.openai.com/v1",
        GatewayId::Anthropic => "https://api.anthropic.com/v1",
    }
}
