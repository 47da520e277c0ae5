//! What a chat completion request asks for, read cheaply: texts are counted, not kept.

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

const CHOICES_MAX: u64 = 128;

#[derive(Deserialize)]
pub(super) struct ChatRequest<'a> {
    #[serde(borrow)]
    pub model: Cow<'a, str>,
    #[serde(borrow)]
    pub messages: Prompt<'a>,
    #[serde(default, deserialize_with = "or_default")]
    pub stream: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub stream_options: StreamOptions,
    pub max_tokens: Option<u64>,
    pub max_completion_tokens: Option<u64>,
    pub n: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    pub tools: Vec<Value>,
    pub tool_choice: Option<Value>,
    pub response_format: Option<Value>,
    #[serde(default, deserialize_with = "or_default")]
    pub logprobs: bool,
    pub top_logprobs: Option<usize>,
}

#[derive(Default, Deserialize)]
pub(super) struct StreamOptions {
    #[serde(default, deserialize_with = "or_default")]
    pub include_usage: bool,
}

impl<'a> ChatRequest<'a> {
    /// # Errors
    /// A sentence for the caller.
    pub fn parse(body: &'a [u8]) -> Result<Self, String> {
        let request: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if request.messages.count == 0 {
            return Err("messages: at least one is needed".to_owned());
        }
        if !(1..=CHOICES_MAX).contains(&request.choices()) {
            return Err(format!("n: from 1 to {CHOICES_MAX}"));
        }
        Ok(request)
    }

    pub fn choices(&self) -> u64 {
        self.n.unwrap_or(1)
    }

    /// One token for every four bytes begun, at least one.
    pub fn prompt_tokens(&self) -> u64 {
        self.messages.text_bytes.div_ceil(4).max(1)
    }

    /// The tool that is to be called, if any: the chosen one or the first. After a tool's result it is the model's turn to
    /// talk, so that loops of model and tools come to an end.
    pub fn called_tool(&self) -> Option<&Value> {
        let choice = self.tool_choice.as_ref();
        if choice.and_then(Value::as_str) == Some("none") || self.messages.last_role == "tool" {
            return None;
        }
        let chosen = choice.and_then(|choice| choice.pointer("/function/name"));
        let named = |tool: &&Value| tool.pointer("/function/name") == chosen;
        match chosen {
            Some(_) => self.tools.iter().find(named),
            None => self.tools.first(),
        }
    }
}

/// The messages, as far as their size and their last speaker go.
#[derive(Default)]
pub(super) struct Prompt<'a> {
    pub count: usize,
    pub text_bytes: u64,
    pub last_role: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(default)]
    content: TextBytes,
}

#[derive(Default, Deserialize)]
struct Part {
    #[serde(default)]
    text: TextBytes,
}

/// Bytes of text in a string, in the `text` of a list's parts, or none in anything else.
#[derive(Default)]
struct TextBytes(u64);

/// `null` is as good as absent.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl<'de: 'a, 'a> Deserialize<'de> for Prompt<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Messages)
    }
}

struct Messages;

impl<'de> Visitor<'de> for Messages {
    type Value = Prompt<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<Prompt<'de>, A::Error> {
        let mut prompt = Prompt::default();
        while let Some(message) = messages.next_element::<Message<'de>>()? {
            prompt.count += 1;
            prompt.text_bytes += message.content.0;
            prompt.last_role = message.role;
        }
        Ok(prompt)
    }
}

impl<'de> Deserialize<'de> for TextBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Texts)
    }
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = TextBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list of parts or null")
    }

    fn visit_unit<E>(self) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TextBytes, E> {
        u64::try_from(text.len()).map(TextBytes).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<TextBytes, A::Error> {
        let mut bytes = 0;
        while let Some(part) = parts.next_element::<Part>()? {
            bytes += part.text.0;
        }
        Ok(TextBytes(bytes))
    }
}
