//! The counts of a `usage` object, whatever stands where a number is due.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// More tokens than any context window will hold for a while: above this a count is garbage.
pub(super) const TOKENS_MAX: i64 = 1_000_000_000_000_000;

/// A count as it came; null is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub tokens: i64,
    pub absurd: bool,
}

/// What a `usage` object says. Of a name that stands twice the last counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub prompt: Option<Count>,
    pub completion: Option<Count>,
    pub prompt_parts: Parts,
    pub completion_parts: Parts,
}

/// The parts of a prompt or of a completion.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub cache_read: Option<Count>,
    pub cache_write: Option<Count>,
    pub reasoning: Option<Count>,
    pub audio: Option<Count>,
    pub image: Option<Count>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    PromptTokens,
    CompletionTokens,
    PromptTokensDetails,
    CompletionTokensDetails,
    CachedTokens,
    CacheWriteTokens,
    ReasoningTokens,
    AudioTokens,
    ImageTokens,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = Counts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a usage object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Counts, A::Error> {
        let mut counts = Counts::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::PromptTokens => counts.prompt = Some(map.next_value()?),
                Key::CompletionTokens => counts.completion = Some(map.next_value()?),
                Key::PromptTokensDetails => counts.prompt_parts = map.next_value()?,
                Key::CompletionTokensDetails => counts.completion_parts = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(counts)
    }
}

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartsVisitor)
    }
}

/// What is no object has no parts.
struct PartsVisitor;

impl<'de> Visitor<'de> for PartsVisitor {
    type Value = Parts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("details of a usage, or nothing")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parts, A::Error> {
        let mut parts = Parts::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::CachedTokens => parts.cache_read = Some(map.next_value()?),
                Key::CacheWriteTokens => parts.cache_write = Some(map.next_value()?),
                Key::ReasoningTokens => parts.reasoning = Some(map.next_value()?),
                Key::AudioTokens => parts.audio = Some(map.next_value()?),
                Key::ImageTokens => parts.image = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(parts)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Parts, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Parts::default())
    }

    fn visit_unit<E>(self) -> Result<Parts, E> {
        Ok(Parts::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Parts, E> {
        Ok(Parts::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Parts, E> {
        Ok(Parts::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Parts, E> {
        Ok(Parts::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Parts, E> {
        Ok(Parts::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Parts, E> {
        Ok(Parts::default())
    }
}

impl Count {
    const NONE: Self = Self { tokens: 0, absurd: false };

    const fn absurd(tokens: i64) -> Self {
        Self { tokens, absurd: true }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count of tokens")
    }

    fn visit_u64<E>(self, tokens: u64) -> Result<Count, E> {
        Ok(match i64::try_from(tokens) {
            Ok(tokens @ 0..=TOKENS_MAX) => Count { tokens, absurd: false },
            _ => Count::absurd(TOKENS_MAX),
        })
    }

    fn visit_i64<E>(self, tokens: i64) -> Result<Count, E> {
        Ok(match tokens {
            0..=TOKENS_MAX => Count { tokens, absurd: false },
            _ => Count::absurd(if tokens > 0 { TOKENS_MAX } else { 0 }),
        })
    }

    fn visit_f64<E>(self, tokens: f64) -> Result<Count, E> {
        Ok(Count::absurd(if tokens > 0.0 { TOKENS_MAX } else { 0 }))
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count::NONE)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count::absurd(0))
    }

    fn visit_str<E>(self, _: &str) -> Result<Count, E> {
        Ok(Count::absurd(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Count::absurd(0))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Count::absurd(0))
    }
}
