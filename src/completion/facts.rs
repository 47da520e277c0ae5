//! What a provider's JSON says, as far as money and the end of the answer go: one pass, no tree, texts are measured, not kept.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use tollgate_domain::UsageReading;

/// A plain answer, or one chunk of a stream.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    pub id: Option<&'a RawValue>,
    pub created: Option<&'a RawValue>,
    pub model: Option<&'a RawValue>,
    /// `choices` is there, and a list.
    pub has_choices: bool,
    pub choices: Choices<'a>,
    /// The last `usage`, be it null.
    pub usage: Option<&'a RawValue>,
    /// The last usage that has counts; a sane one goes before an absurd one.
    pub reading: Option<UsageReading>,
    /// How many usages had counts.
    pub readings: u32,
    pub error: Option<&'a RawValue>,
}

/// What the choices hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices<'a> {
    pub count: usize,
    /// Bytes of text and of tool calls.
    pub content_bytes: usize,
    /// How many have a finish reason.
    pub finished: usize,
    pub finish_reason: Option<Cow<'a, str>>,
}

/// Of two readings the later one counts, unless only the earlier one can be believed.
pub fn better(earlier: Option<UsageReading>, later: Option<UsageReading>) -> Option<UsageReading> {
    match (earlier, later) {
        (Some(earlier), Some(later)) if later.absurd && !earlier.absurd => Some(earlier),
        (earlier, later) => later.or(earlier),
    }
}

impl<'a> Facts<'a> {
    /// Reads an answer or a chunk.
    ///
    /// # Errors
    /// What is no JSON object, or has fields of other types than OpenAI's.
    pub fn read(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    fn note_usage(&mut self, usage: &'a RawValue) {
        self.usage = Some(usage);
        let reading = UsageReading::from_openai(usage.get());
        self.readings += u32::from(reading.is_some());
        self.reading = better(self.reading, reading);
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Facts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FactsVisitor)
    }
}

struct FactsVisitor;

impl<'de> Visitor<'de> for FactsVisitor {
    type Value = Facts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chat completion object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Facts<'de>, A::Error> {
        let mut facts = Facts::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Id => facts.id = Some(map.next_value()?),
                Key::Created => facts.created = Some(map.next_value()?),
                Key::Model => facts.model = Some(map.next_value()?),
                Key::Usage => facts.note_usage(map.next_value()?),
                Key::Error => facts.error = map.next_value::<Option<&RawValue>>()?.filter(|error| error.get() != "null"),
                Key::Choices => {
                    let choices: Option<Choices<'de>> = map.next_value()?;
                    facts.has_choices = choices.is_some();
                    facts.choices = choices.unwrap_or_default();
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(facts)
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Id,
    Created,
    Model,
    Usage,
    Error,
    Choices,
    Message,
    Delta,
    Content,
    Reasoning,
    ReasoningContent,
    Refusal,
    ToolCalls,
    FunctionCall,
    Audio,
    FinishReason,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ChoicesVisitor)
    }
}

struct ChoicesVisitor;

impl<'de> Visitor<'de> for ChoicesVisitor {
    type Value = Choices<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of choices")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Choices<'de>, A::Error> {
        let mut choices = Choices::default();
        while let Some(choice) = list.next_element::<Choice<'de>>()? {
            choices.count += 1;
            choices.content_bytes += choice.content_bytes;
            choices.finished += usize::from(choice.finish_reason.is_some());
            choices.finish_reason = choice.finish_reason.or(choices.finish_reason);
        }
        Ok(choices)
    }
}

#[derive(Default)]
struct Choice<'a> {
    content_bytes: usize,
    finish_reason: Option<Cow<'a, str>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Choice<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ChoiceVisitor)
    }
}

struct ChoiceVisitor;

impl<'de> Visitor<'de> for ChoiceVisitor {
    type Value = Choice<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a choice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Choice<'de>, A::Error> {
        let mut choice = Choice::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Message | Key::Delta => choice.content_bytes += map.next_value::<Option<Said>>()?.map_or(0, |said| said.0),
                Key::FinishReason => choice.finish_reason = map.next_value::<Option<Text<'de>>>()?.map(|text| text.0),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(choice)
    }
}

/// Bytes that a message or a delta says.
struct Said(usize);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SaidVisitor)
    }
}

struct SaidVisitor;

impl<'de> Visitor<'de> for SaidVisitor {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Said, A::Error> {
        let mut bytes = 0;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Content | Key::Reasoning | Key::ReasoningContent | Key::Refusal => bytes += map.next_value::<TextBytes>()?.0,
                Key::ToolCalls | Key::FunctionCall | Key::Audio => bytes += raw_bytes(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Said(bytes))
    }
}

/// What has parts counts as it stands; null and nothing count as nothing.
fn raw_bytes(value: &RawValue) -> usize {
    match value.get() {
        "null" | "[]" | "{}" | "\"\"" => 0,
        text => text.len(),
    }
}

struct TextBytes(usize);

impl<'de> Deserialize<'de> for TextBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextBytesVisitor)
    }
}

struct TextBytesVisitor;

impl<'de> Visitor<'de> for TextBytesVisitor {
    type Value = TextBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list of parts or null")
    }

    fn visit_unit<E>(self) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_str<E>(self, text: &str) -> Result<TextBytes, E> {
        Ok(TextBytes(text.len()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<TextBytes, A::Error> {
        let mut bytes = 0;
        while let Some(part) = parts.next_element::<&RawValue>()? {
            bytes += raw_bytes(part);
        }
        Ok(TextBytes(bytes))
    }
}

/// A text that is borrowed where it can be.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_answer_tells_what_was_said_and_why_it_ended() {
        let json = br#"{"id":"x","choices":[{"message":{"role":"assistant","content":"h\u00e9y","reasoning":"ab","tool_calls":[]},"finish_reason":"stop"},
            {"message":null,"finish_reason":null}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
        let facts = Facts::read(json).expect("JSON");
        assert_eq!(facts.choices, Choices { count: 2, content_bytes: 6, finished: 1, finish_reason: Some("stop".into()) });
        assert_eq!(facts.reading.expect("usage").usage.total(), 5);
        assert!(facts.has_choices && facts.error.is_none());
    }

    #[test]
    fn of_two_usages_the_last_sane_one_counts() {
        let twice = |first: &str, second: &str| {
            let json = format!(r#"{{"usage":{first},"choices":[],"usage":{second}}}"#);
            let facts = Facts::read(json.as_bytes()).expect("JSON");
            (facts.readings, facts.reading.expect("usage").usage.completion)
        };
        let usage = |tokens: i64| format!(r#"{{"prompt_tokens":1,"completion_tokens":{tokens}}}"#);
        assert_eq!(twice(&usage(3), &usage(4)), (2, 4));
        // Mutant: taking the later one always turns this red.
        assert_eq!(twice(&usage(3), &usage(-4)), (2, 3));
        assert_eq!(twice(&usage(3), "null"), (1, 3));
    }

    #[test]
    fn what_is_no_completion_object_is_an_error() {
        for json in [
            &b""[..],
            b"[]",
            b"7",
            b"{",
            br#"{"choices":7}"#,
            br#"{"choices":[{"delta":{"content":7}}]}"#,
            b"{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}",
        ] {
            assert!(Facts::read(json).is_err(), "{}", String::from_utf8_lossy(json));
        }
    }
}
