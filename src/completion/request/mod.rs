//! A chat completion's body: what must be known of it is read, all else is left as it stands.
//!
//! The body goes upstream as the client wrote it. It is rewritten only where that is needed ([`ChatRequest::upstream_body`]),
//! and even then every other field keeps its bytes and its place.

mod members;
mod messages;
mod provider;
mod rules;
mod splice;
mod turns;

#[cfg(test)]
mod tests;

pub use provider::{ForOpenRouter, Provider, Wishes};

use crate::http::error::ApiError;
use bytes::Bytes;
use members::{Field, Member};

/// A request that may be priced and sent.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    body: Bytes,
    members: Vec<Member>,
    pub model: String,
    /// `models`: what may answer when `model` can't, in this order. We try them ourselves.
    pub models: Vec<String>,
    /// The greater of `max_tokens` and `max_completion_tokens`; for each choice.
    pub max_tokens: Option<i64>,
    /// `n`.
    pub choices: i64,
    pub stream: bool,
    /// The client asked for the usage chunk.
    pub include_usage: bool,
    pub prompt: Prompt,
    pub provider: Provider,
    /// What becomes of `provider` on its way to OpenRouter.
    pub for_openrouter: ForOpenRouter,
    pub portkey_provider: Option<String>,
    pub portkey_virtual_key: Option<String>,
}

/// The size of what the model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Bytes as JSON of all that a model may read, without what `image_bytes` counts.
    pub bytes: usize,
    pub images: i64,
    /// Bytes of the images' URLs; a data URL holds the whole image.
    pub image_bytes: usize,
    /// Files, films and sounds that are pointed to: what is in them is known only upstream.
    pub unseen: i64,
}

impl ChatRequest {
    /// Reads and checks a body.
    ///
    /// # Errors
    /// 400 in OpenAI's form, with the parameter that is wrong.
    pub fn read(body: Bytes) -> Result<Self, ApiError> {
        let members = members::scan(&body)?;
        let mut request = Self {
            model: String::new(),
            models: Vec::new(),
            max_tokens: None,
            choices: 1,
            stream: false,
            include_usage: false,
            prompt: Prompt::default(),
            provider: Provider::Any,
            for_openrouter: ForOpenRouter::AsItStands,
            portkey_provider: None,
            portkey_virtual_key: None,
            body,
            members,
        };
        request.read_members()?;
        if request.model.is_empty() {
            return Err(rules::missing("model"));
        }
        if !request.members.iter().any(|member| member.field == Field::Messages) {
            return Err(rules::missing("messages"));
        }
        Ok(request)
    }

    /// Some `cache_control` in it has `"ttl": "1h"`. Within a text the quotes would be escaped.
    #[must_use]
    pub fn asks_for_hour_cache(&self) -> bool {
        memchr::memmem::find(&self.body, br#""1h""#).is_some()
    }

    fn read_members(&mut self) -> Result<(), ApiError> {
        let body = self.body.clone();
        let mut members = std::mem::take(&mut self.members);
        for member in &mut members {
            let value = member.text(&body);
            match member.field {
                // Upstreams take more fields than we know (`functions`, `response_format`, `prediction`, `documents`, …), and the
                // model may read each that is more than a number or a flag.
                Field::Other if value.starts_with(['"', '[', '{']) => self.prompt.bytes += value.len(),
                Field::Other | Field::Setting | Field::Route => {}
                Field::Model => self.model = rules::model(value)?,
                Field::Models => self.models = rules::models(value)?,
                Field::Messages => self.read_messages(value)?,
                Field::Tools => self.prompt.bytes += value.len(),
                Field::MaxTokens => self.max_tokens = self.max_tokens.max(rules::max_tokens("max_tokens", value)?),
                Field::MaxCompletionTokens => {
                    self.max_tokens = self.max_tokens.max(rules::max_tokens("max_completion_tokens", value)?);
                }
                Field::N => self.choices = rules::choices(value)?,
                Field::Stream => self.stream = rules::flag("stream", value)?,
                Field::StreamOptions => self.include_usage = rules::include_usage(value)?,
                Field::Provider => {
                    self.provider = Provider::read(value)?;
                    member.ours = !matches!(self.provider, Provider::Wishes(_));
                }
                Field::PortkeyProvider => self.portkey_provider = rules::header_text("portkey_provider", value)?,
                Field::PortkeyVirtualKey => self.portkey_virtual_key = rules::header_text("portkey_virtual_key", value)?,
                // OpenRouter's own `session_id` is a text; ours is a number and no model's business.
                Field::SessionId => member.ours = !value.starts_with('"'),
                Field::PrivyUserId => {}
            }
        }
        self.members = members;
        Ok(())
    }

    fn read_messages(&mut self, value: &str) -> Result<(), ApiError> {
        let media = messages::check(value)?;
        self.prompt.images = media.images;
        self.prompt.image_bytes = media.image_bytes;
        self.prompt.unseen = media.unseen;
        self.prompt.bytes += value.len().saturating_sub(media.image_bytes);
        Ok(())
    }
}
