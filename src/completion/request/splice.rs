//! The body that goes upstream: the client's, with as few bytes changed as can be.

use super::members::{self, Field, Member};
use super::{ChatRequest, ForOpenRouter};
use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tollgate_domain::GatewayId;

const USAGE_WANTED: &str = r#"{"include_usage":true}"#;

impl ChatRequest {
    /// The bytes to send to a gateway that calls the model so. The client's own, uncopied, when nothing has to change.
    ///
    /// `limit`: completion tokens for each choice, where the balance affords less than was asked for.
    #[must_use]
    pub fn upstream_body(&self, gateway: GatewayId, model: &str, limit: Option<i64>) -> Bytes {
        let wants_usage = self.stream && !self.include_usage;
        let renamed = (model != self.model).then(|| Value::from(model).to_string());
        let edited = |member: &Member| self.is_left_out(member, gateway) || self.provider_instead(member).is_some();
        if !wants_usage && limit.is_none() && renamed.is_none() && !self.members.iter().any(edited) {
            return self.body.clone();
        }
        let mut out = Object::with_capacity(self.body.len() + 64);
        let mut limited = false;
        for member in self.members.iter().filter(|member| !self.is_left_out(member, gateway)) {
            match (member.field, limit) {
                (Field::Model, _) => {
                    out.member(self.name_of(member), renamed.as_deref().unwrap_or(member.text(&self.body)).as_bytes());
                }
                (Field::StreamOptions, _) if wants_usage => {
                    out.member(self.name_of(member), &with_usage(member.text(&self.body)));
                }
                (Field::MaxTokens | Field::MaxCompletionTokens, Some(tokens)) if self.is_given(member) => {
                    out.member(self.name_of(member), tokens.to_string().as_bytes());
                    limited = true;
                }
                (Field::Provider, _) => {
                    let text = self.provider_instead(member).unwrap_or(member.text(&self.body));
                    out.member(self.name_of(member), text.as_bytes());
                }
                _ => out.raw(self.bytes(member)),
            }
        }
        if wants_usage && !self.members.iter().any(|member| member.field == Field::StreamOptions) {
            out.member(br#""stream_options":"#, USAGE_WANTED.as_bytes());
        }
        if let Some(tokens) = limit.filter(|_| !limited) {
            out.member(limit_name(gateway), tokens.to_string().as_bytes());
        }
        out.close()
    }

    /// OpenRouter's wishes are nobody else's business, and unknown to others.
    fn is_left_out(&self, member: &Member, gateway: GatewayId) -> bool {
        let is_theirs = || gateway == GatewayId::OpenRouter && self.for_openrouter != ForOpenRouter::Nothing;
        member.ours || (member.field == Field::Provider && !is_theirs())
    }

    fn provider_instead(&self, member: &Member) -> Option<&str> {
        match &self.for_openrouter {
            ForOpenRouter::Instead(text) if member.field == Field::Provider => Some(text),
            _ => None,
        }
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

/// Where a limit stands when the client gave none. OpenAI's newer models refuse the older field.
const fn limit_name(gateway: GatewayId) -> &'static [u8] {
    match gateway {
        GatewayId::OpenAi => br#""max_completion_tokens":"#,
        _ => br#""max_tokens":"#,
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
