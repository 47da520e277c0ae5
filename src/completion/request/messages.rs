//! The shape of `messages`: checked in one pass that keeps nothing but the images' count and size.

use super::rules;
use crate::http::error::ApiError;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The images among the messages' parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Images {
    pub count: i64,
    pub bytes: usize,
}

impl Images {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

/// Checks the value of `messages`.
pub fn check(value: &str) -> Result<Images, ApiError> {
    match serde_json::from_str::<Messages>(value) {
        Ok(Messages { count: 0, .. }) => Err(rules::invalid("messages", "must hold at least one message")),
        Ok(messages) => Ok(messages.images),
        Err(_) => Err(explain(value)),
    }
}

/// Tracking the path costs; so only those who erred pay for it.
fn explain(value: &str) -> ApiError {
    let mut deserializer = serde_json::Deserializer::from_str(value);
    match serde_path_to_error::deserialize::<_, Messages>(&mut deserializer) {
        Ok(_) => rules::invalid("messages", "is no valid list of messages"),
        Err(error) => {
            let path = error.path().to_string();
            let text = error.inner().to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            rules::invalid(&if path == "." { "messages".to_owned() } else { format!("messages{path}") }, text)
        }
    }
}

struct Messages {
    count: usize,
    images: Images,
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(MessagesVisitor)
    }
}

struct MessagesVisitor;

impl<'de> Visitor<'de> for MessagesVisitor {
    type Value = Messages;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Messages, A::Error> {
        let mut messages = Messages { count: 0, images: Images::default() };
        while let Some(Message(images)) = list.next_element()? {
            messages.count += 1;
            messages.images.add(images);
        }
        Ok(messages)
    }
}

struct Message(Images);

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MessageVisitor)
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Role,
    Content,
    ToolCalls,
    FunctionCall,
    Audio,
    Refusal,
    #[serde(other)]
    Other,
}

struct MessageVisitor;

impl<'de> Visitor<'de> for MessageVisitor {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message with role and content")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
        let mut role: Option<Cow<'de, str>> = None;
        let (mut content, mut may_be_silent) = (Content::Null, false);
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Role => role = Some(map.next_value::<Text<'de>>()?.0),
                Key::Content => content = map.next_value()?,
                // What an assistant may say instead of a content.
                Key::ToolCalls | Key::FunctionCall | Key::Audio | Key::Refusal => {
                    may_be_silent |= map.next_value::<Option<IgnoredAny>>()?.is_some();
                }
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let role = role.filter(|role| !role.is_empty()).ok_or_else(|| A::Error::missing_field("role"))?;
        match content {
            Content::Images(images) => Ok(Message(images)),
            Content::Null if role == "function" || (role == "assistant" && may_be_silent) => Ok(Message(Images::default())),
            Content::Null => Err(A::Error::missing_field("content")),
        }
    }
}

/// A text that is borrowed where it can be.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

enum Content {
    Null,
    Images(Images),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of parts")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_str<E>(self, _: &str) -> Result<Content, E> {
        Ok(Content::Images(Images::default()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Content, A::Error> {
        let mut images = Images::default();
        while let Some(part) = parts.next_element::<Part<'de>>()? {
            if let Some(image) = part.image_url {
                images.add(Images { count: 1, bytes: image.get().len() });
            }
        }
        Ok(Content::Images(images))
    }
}

#[derive(serde::Deserialize)]
struct Part<'a> {
    #[expect(dead_code, reason = "must be there and be a text")]
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    image_url: Option<&'a RawValue>,
}
