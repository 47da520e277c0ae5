//! The shape of `messages`: checked in one pass that keeps nothing but what is no text: its count and size.

use super::rules;
use crate::http::error::ApiError;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What the messages hold beside text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    pub images: i64,
    pub image_bytes: usize,
    /// Files, films and sounds that stand elsewhere.
    pub unseen: i64,
}

impl Media {
    fn add(&mut self, other: Self) {
        self.images += other.images;
        self.image_bytes += other.image_bytes;
        self.unseen += other.unseen;
    }
}

/// Checks the value of `messages`.
pub fn check(value: &str) -> Result<Media, ApiError> {
    match serde_json::from_str::<Messages>(value) {
        Ok(Messages { count: 0, .. }) => Err(rules::invalid("messages", "must hold at least one message")),
        Ok(messages) => Ok(messages.media),
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
    media: Media,
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
        let mut messages = Messages { count: 0, media: Media::default() };
        while let Some(Message(media)) = list.next_element()? {
            messages.count += 1;
            messages.media.add(media);
        }
        Ok(messages)
    }
}

struct Message(Media);

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
        let (mut content, mut may_be_silent, mut spoken) = (Content::Null, false, 0);
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Role => role = Some(map.next_value::<Text<'de>>()?.0),
                Key::Content => content = map.next_value()?,
                // The id of an earlier answer.
                Key::Audio => spoken += i64::from(map.next_value::<Option<IgnoredAny>>()?.is_some()),
                // What an assistant may say instead of a content, as the above.
                Key::ToolCalls | Key::FunctionCall | Key::Refusal => {
                    may_be_silent |= map.next_value::<Option<IgnoredAny>>()?.is_some();
                }
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let role = role.filter(|role| !role.is_empty()).ok_or_else(|| A::Error::missing_field("role"))?;
        let mut media = match content {
            Content::Media(media) => media,
            Content::Null if role == "function" || (role == "assistant" && (may_be_silent || spoken > 0)) => Media::default(),
            Content::Null => return Err(A::Error::missing_field("content")),
        };
        media.unseen += spoken;
        Ok(Message(media))
    }
}

/// A text that is borrowed where it can be.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

enum Content {
    Null,
    Media(Media),
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
        Ok(Content::Media(Media::default()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Content, A::Error> {
        let mut media = Media::default();
        while let Some(part) = parts.next_element::<Part<'de>>()? {
            media.add(part.media());
        }
        Ok(Content::Media(media))
    }
}

#[derive(serde::Deserialize)]
struct Part<'a> {
    #[expect(dead_code, reason = "must be there and be a text")]
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow)]
    file: Option<&'a RawValue>,
    #[serde(borrow)]
    video_url: Option<&'a RawValue>,
    #[serde(borrow)]
    audio_url: Option<&'a RawValue>,
    #[serde(borrow)]
    input_audio: Option<&'a RawValue>,
    #[serde(borrow)]
    document_url: Option<&'a RawValue>,
}

impl Part<'_> {
    fn media(&self) -> Media {
        let others = [self.file, self.video_url, self.audio_url, self.input_audio, self.document_url];
        let unseen: i64 = others.into_iter().flatten().map(|content| i64::from(is_elsewhere(content))).sum();
        match self.image_url {
            Some(image) => Media { images: 1, image_bytes: image.get().len(), unseen },
            None => Media { unseen, ..Media::default() },
        }
    }
}

/// Where the content of a file, a film or a sound is.
#[derive(serde::Deserialize)]
struct Source<'a> {
    #[serde(borrow, alias = "file_url")]
    url: Option<&'a RawValue>,
    #[serde(borrow, alias = "file_data")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    file_id: Option<&'a RawValue>,
}

/// Not in the body, as far as we can see: in doubt it is elsewhere.
fn is_elsewhere(content: &RawValue) -> bool {
    match serde_json::from_str::<Source<'_>>(content.get()) {
        Ok(Source { url: None, data: None, .. } | Source { file_id: Some(_), .. }) => true,
        Ok(Source { url, data, .. }) => url.into_iter().chain(data).any(points_away),
        Err(_) => points_away(content),
    }
}

/// Base64 has no colon, and a data URL says what it is.
fn points_away(text: &RawValue) -> bool {
    let text = text.get();
    !text.starts_with("\"data:") && (text.contains(':') || text.contains("\\u"))
}
