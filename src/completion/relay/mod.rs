//! A stream on its way from the provider to the client: what passes, what is changed, what is noted. No I/O.
//!
//! A client that did not ask for usage gets the provider's frames byte by byte, without the usage chunk that only we asked
//! for. One that did gets what OpenAI's specification says: `usage: null` in every chunk but the last, which has no choices.

use super::facts::Facts;
use super::refusal;
use super::settle::Received;
use super::sse::{Frame, Scanner};
use super::text::Transcript;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;
use tollgate_actors::ports::GatewayError;
use tollgate_domain::TokenUsage;

#[cfg(test)]
mod tests;

const DONE: &[u8] = b"data: [DONE]\n\n";

/// How far a stream has come.
#[derive(Debug)]
pub enum Progress {
    More,
    /// All of it is here; what ends it for the client is [`Relay::closing`].
    Done,
    Failed(GatewayError),
}

/// One stream.
pub struct Relay {
    scanner: Scanner,
    sheet: Sheet,
}

/// Everything but the scanner, whose frames are borrowed while this is written.
struct Sheet {
    wants_usage: bool,
    /// `n`: so many finish reasons end the stream.
    choices: usize,
    received: Received,
    /// So many chunks came.
    chunks: u32,
    out: BytesMut,
    head: ChunkHead,
    usage: LastUsage,
    /// What is said, where a chat session keeps it.
    text: Option<Transcript>,
}

/// What all chunks of an answer share, as JSON.
#[derive(Debug, Default)]
struct ChunkHead {
    id: Option<String>,
    created: Option<String>,
    model: Option<String>,
}

/// The provider's own words on the usage, for the client that asked for them.
#[derive(Debug, Default)]
enum LastUsage {
    #[default]
    Unknown,
    /// A `usage` object out of a chunk with choices.
    Object(String),
    /// A whole chunk without choices.
    Chunk(Bytes),
}

/// What the last usage chunk says where the provider's own can't be shown.
pub struct Closing<'a> {
    pub generation: &'a str,
    pub created: i64,
    pub model: &'a str,
    pub usage: TokenUsage,
    /// The provider's counts are what is charged.
    pub is_theirs: bool,
    /// JSON.
    pub gateway_usage: &'a [u8],
}

impl Relay {
    pub fn new(wants_usage: bool, choices: i64) -> Self {
        let sheet = Sheet {
            wants_usage,
            choices: usize::try_from(choices).unwrap_or(1),
            received: Received::default(),
            chunks: 0,
            out: BytesMut::new(),
            head: ChunkHead::default(),
            usage: LastUsage::default(),
            text: None,
        };
        Self { scanner: Scanner::default(), sheet }
    }

    /// From now on what is said is kept.
    pub fn keep_text(&mut self) {
        self.sheet.text = Some(Transcript::default());
    }

    pub const fn take_text(&mut self) -> Option<Transcript> {
        self.sheet.text.take()
    }

    /// Takes the next bytes of the provider's.
    pub fn feed(&mut self, chunk: &[u8]) -> Progress {
        self.scanner.push(chunk);
        self.read_frames()
    }

    /// The provider's connection ended well. Without a sign that the answer is whole, it is not.
    pub fn end(&mut self) -> Progress {
        self.scanner.end();
        match self.read_frames() {
            Progress::More if self.sheet.is_whole() => Progress::Done,
            Progress::More => malformed("the stream ended without finish reason and [DONE]"),
            ended => ended,
        }
    }

    fn read_frames(&mut self) -> Progress {
        loop {
            match self.scanner.next_frame() {
                Ok(Some(frame)) => match self.sheet.take(&frame) {
                    Progress::More => {}
                    ended => return ended,
                },
                Ok(None) => return Progress::More,
                Err(_) => return Progress::Failed(GatewayError::TooLarge),
            }
        }
    }

    /// There is more than an opening chunk that says nothing: until then, another gateway's answer can stand in its place.
    pub const fn has_begun(&self) -> bool {
        let Sheet { received, chunks, .. } = &self.sheet;
        *chunks > 1 || received.content_bytes > 0 || received.finished > 0
    }

    /// What may go to the client now: whole frames.
    pub fn take_output(&mut self) -> Option<Bytes> {
        (!self.sheet.out.is_empty()).then(|| self.sheet.out.split().freeze())
    }

    pub const fn received(&self) -> &Received {
        &self.sheet.received
    }

    pub const fn received_mut(&mut self) -> &mut Received {
        &mut self.sheet.received
    }

    /// The last frames: the usage chunk for those who asked for it, and `[DONE]`.
    pub fn closing(&mut self, closing: &Closing<'_>) -> Bytes {
        let sheet = &mut self.sheet;
        if sheet.wants_usage {
            let known = if closing.is_theirs { std::mem::take(&mut sheet.usage) } else { LastUsage::Unknown };
            let chunk = match known {
                LastUsage::Chunk(chunk) => with_member(&chunk, "gateway_usage", closing.gateway_usage),
                LastUsage::Object(usage) => sheet.head.usage_chunk(&usage, closing),
                LastUsage::Unknown => sheet.head.usage_chunk(&usage_object(closing.usage), closing),
            };
            sheet.put_data(&[&chunk]);
        }
        sheet.out.extend_from_slice(DONE);
        sheet.out.split().freeze()
    }
}

impl Sheet {
    fn is_whole(&self) -> bool {
        self.received.finished >= self.choices
    }

    fn take(&mut self, frame: &Frame<'_>) -> Progress {
        let data = frame.data.as_deref().unwrap_or_default();
        // Only to tell them apart: JSON's own white space is narrower, and the client gets the bytes as they are.
        match data.trim_ascii() {
            [] => self.out.extend_from_slice(frame.raw),
            b"[DONE]" => return Progress::Done,
            _ => return self.take_chunk(frame, data),
        }
        Progress::More
    }

    fn take_chunk(&mut self, frame: &Frame<'_>, data: &[u8]) -> Progress {
        let facts = match Facts::read(data) {
            Ok(facts) => facts,
            Err(error) => return malformed(&error.to_string()),
        };
        if let Some(error) = facts.error {
            return Progress::Failed(refusal::error_in_answer(error));
        }
        self.received.note(&facts);
        if let Some(text) = &mut self.text {
            text.note(data);
        }
        self.chunks = self.chunks.saturating_add(1);
        let usage = facts.usage.filter(|usage| usage.get() != "null");
        if facts.choices.count == 0 && usage.is_some() {
            self.keep(&facts, LastUsage::Chunk(Bytes::copy_from_slice(data)));
        } else if self.wants_usage {
            if let Some(usage) = usage {
                self.keep(&facts, LastUsage::Object(usage.get().to_owned()));
            }
            self.head.note(&facts);
            self.put_without_usage(frame, data, facts.usage);
        } else {
            self.out.extend_from_slice(frame.raw);
        }
        Progress::More
    }

    fn keep(&mut self, facts: &Facts<'_>, usage: LastUsage) {
        if self.wants_usage && facts.reading.is_some_and(|reading| !reading.absurd) {
            self.usage = usage;
        }
    }

    /// The chunk with `usage: null`, however the provider put it.
    fn put_without_usage(&mut self, frame: &Frame<'_>, data: &[u8], usage: Option<&RawValue>) {
        match usage {
            Some(usage) if usage.get() == "null" => self.out.extend_from_slice(frame.raw),
            Some(usage) => {
                let at = usage.get().as_ptr().addr() - data.as_ptr().addr();
                let (before, rest) = data.split_at(at.min(data.len()));
                let after = rest.get(usage.get().len()..).unwrap_or_default();
                self.put_data(&[before, b"null", after]);
            }
            None => {
                let chunk = with_member(data, "usage", b"null");
                self.put_data(&[&chunk]);
            }
        }
    }

    /// One frame of one `data` line. Line ends between JSON's tokens, which several lines have left, become spaces.
    fn put_data(&mut self, parts: &[&[u8]]) {
        self.out.extend_from_slice(b"data: ");
        for part in parts {
            match memchr::memchr2(b'\n', b'\r', part) {
                None => self.out.extend_from_slice(part),
                Some(_) => self.out.extend(part.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte })),
            }
        }
        self.out.extend_from_slice(b"\n\n");
    }
}

fn malformed(reason: &str) -> Progress {
    Progress::Failed(GatewayError::Malformed(reason.to_owned()))
}

impl ChunkHead {
    fn note(&mut self, facts: &Facts<'_>) {
        let keep = |known: &mut Option<String>, raw: Option<&RawValue>| {
            if let (None, Some(raw)) = (&known, raw) {
                *known = Some(raw.get().to_owned());
            }
        };
        keep(&mut self.id, facts.id);
        keep(&mut self.created, facts.created);
        keep(&mut self.model, facts.model);
    }

    fn usage_chunk(&self, usage: &str, closing: &Closing<'_>) -> Bytes {
        let text =
            |known: &Option<String>, other: &str| known.clone().unwrap_or_else(|| serde_json::Value::from(other).to_string());
        let (id, model) = (text(&self.id, closing.generation), text(&self.model, closing.model));
        let created = self.created.clone().unwrap_or_else(|| closing.created.to_string());
        let head = format!(
            r#"{{"id":{id},"object":"chat.completion.chunk","created":{created},"model":{model},"choices":[],"usage":{usage}}}"#
        );
        with_member(head.as_bytes(), "gateway_usage", closing.gateway_usage)
    }
}

fn usage_object(usage: TokenUsage) -> String {
    let (prompt, completion) = (usage.prompt, usage.completion);
    let total = usage.total();
    format!(r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}}}"#)
}

/// A JSON object with one more member at its end; all its other bytes stay.
pub fn with_member(object: &[u8], name: &str, value: &[u8]) -> Bytes {
    let open = object.trim_ascii_end();
    let open = open.strip_suffix(b"}").unwrap_or(open);
    let is_empty = open.trim_ascii_end() == b"{";
    let mut out = BytesMut::with_capacity(open.len() + name.len() + value.len() + 8);
    out.put_slice(open);
    out.put_slice(if is_empty { b"\"" } else { b",\"" });
    out.put_slice(name.as_bytes());
    out.put_slice(b"\":");
    out.put_slice(value);
    out.put_u8(b'}');
    out.freeze()
}
