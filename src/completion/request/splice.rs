//! The body that goes upstream: the client's, with as few bytes changed as can be.

use super::ChatRequest;
use super::members::{self, Field, Member};
use bytes::{Bytes, BytesMut};

const USAGE_WANTED: &str = r#"{"include_usage":true}"#;

/// A limit on the completion that the balance affords, where that is less than what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// For each choice.
    pub tokens: i64,
    /// The field that says so when the client gave none: `max_tokens`, or `max_completion_tokens` where that is refused.
    pub field: &'static str,
}

impl ChatRequest {
    /// The bytes to send. The client's own, uncopied, when nothing has to change.
    #[must_use]
    pub fn upstream_body(&self, limit: Option<Limit>) -> Bytes {
        let wants_usage = self.stream && !self.include_usage;
        if !wants_usage && limit.is_none() && !self.members.iter().any(|member| member.ours) {
            return self.body.clone();
        }
        let mut out = Object::with_capacity(self.body.len() + 64);
        let mut limited = false;
        for member in self.members.iter().filter(|member| !member.ours) {
            match (member.field, limit) {
                (Field::StreamOptions, _) if wants_usage => {
                    out.member(self.name_of(member), &with_usage(member.text(&self.body)));
                }
                (Field::MaxTokens | Field::MaxCompletionTokens, Some(limit)) if self.is_given(member) => {
                    out.member(self.name_of(member), limit.tokens.to_string().as_bytes());
                    limited = true;
                }
                _ => out.raw(self.bytes(member)),
            }
        }
        if wants_usage && !self.members.iter().any(|member| member.field == Field::StreamOptions) {
            out.member(br#""stream_options":"#, USAGE_WANTED.as_bytes());
        }
        if let Some(limit) = limit.filter(|_| !limited) {
            out.member(format!("\"{}\":", limit.field).as_bytes(), limit.tokens.to_string().as_bytes());
        }
        out.close()
    }

    fn is_given(&self, member: &Member) -> bool {
        member.text(&self.body) != "null"
    }

    fn bytes(&self, member: &Member) -> &[u8] {
        self.body.get(member.whole.clone()).unwrap_or_default()
    }

    /// The member up to its value, colon and all.
    fn name_of(&self, member: &Member) -> &[u8] {
        self.body.get(member.whole.start..member.value_at).unwrap_or_default()
    }
}

/// `stream_options` with `include_usage` on, its other options as they were.
fn with_usage(options: &str) -> Bytes {
    let Ok(pairs) = members::pairs(options.as_bytes()) else { return Bytes::from_static(USAGE_WANTED.as_bytes()) };
    let mut out = Object::with_capacity(options.len() + USAGE_WANTED.len());
    for (name, value) in pairs {
        let is_ours = serde_json::from_str::<String>(name.get()).is_ok_and(|name| name == "include_usage");
        if !is_ours {
            out.member(format!("{}:", name.get()).as_bytes(), value.get().as_bytes());
        }
    }
    out.member(br#""include_usage":"#, b"true");
    out.close()
}

/// A JSON object, put together from members that are JSON already.
struct Object(BytesMut);

impl Object {
    fn with_capacity(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }

    fn raw(&mut self, member: &[u8]) {
        self.member(member, b"");
    }

    fn member(&mut self, name: &[u8], value: &[u8]) {
        self.0.extend_from_slice(if self.0.is_empty() { b"{" } else { b"," });
        self.0.extend_from_slice(name);
        self.0.extend_from_slice(value);
    }

    fn close(mut self) -> Bytes {
        self.0.extend_from_slice(if self.0.is_empty() { b"{}" } else { b"}" });
        self.0.freeze()
    }
}
