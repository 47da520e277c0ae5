//! What is said to a request: the same words for the same request, each one token long.

use super::Shared;
use super::behaviour::{Behaviour, Fault, UsageReport};
use super::body::DAMAGE;
use super::catalogue::CREATED_AT_S;
use super::format::GatewayFormat;
use super::request::ChatRequest;
use super::shape;
use super::usage::Usage;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

const TOKENS_DEFAULT: u64 = 16;
/// Longest answer that a request may ask for.
pub(super) const TOKENS_CAP: u64 = 4_096;

/// `tok1 tok2 …` up to the cap, and where each token ends in it.
static WORDS: LazyLock<(String, Vec<usize>)> = LazyLock::new(|| {
    let mut text = String::new();
    let ends = (0..TOKENS_CAP).map(|index| {
        text.push_str(&Words::default().token(index));
        text.len()
    });
    let ends = ends.collect();
    (text, ends)
});

/// One chat completion's answer, before it is put into bytes.
pub(super) struct Answer {
    pub id: String,
    /// The model's name as a JSON string.
    pub model: String,
    pub prompt_tokens: u64,
    pub choices: u64,
    /// Of each choice.
    pub tokens: u64,
    pub content: Content,
    pub finish_reason: Option<&'static str>,
    /// How many alternatives are listed for each token, when logprobs are asked for.
    pub logprobs: Option<usize>,
    /// The usage object as JSON text.
    pub usage: Option<String>,
    /// Whether a stream carries it.
    pub usage_asked: bool,
    pub behaviour: Behaviour,
    /// Whose errors are spoken.
    pub format: GatewayFormat,
}

pub(super) enum Content {
    Words(Words),
    /// JSON, cut into as many pieces as there are tokens.
    Pieces(Vec<String>),
    ToolCall {
        name: String,
        arguments: Vec<String>,
    },
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Words {
    split: bool,
    damaged: bool,
    padding: usize,
}

impl Words {
    fn token(self, index: u64) -> String {
        let mut token = String::new();
        if index > 0 {
            token.push(' ');
        }
        if self.damaged && index == 0 {
            token.push(DAMAGE);
        }
        token.push_str(if self.split { "€" } else { "tok" });
        // Writing to a String can't fail.
        let _ = write!(token, "{}", index + 1);
        token.extend(std::iter::repeat_n('x', self.padding));
        token
    }

    fn text(self, tokens: u64) -> Cow<'static, str> {
        if tokens == 0 {
            return Cow::Borrowed("");
        }
        let known = usize::try_from(tokens - 1).ok().and_then(|last| WORDS.1.get(last)).and_then(|end| WORDS.0.get(..*end));
        match known {
            Some(text) if self == Self::default() => Cow::Borrowed(text),
            _ => Cow::Owned((0..tokens).map(|index| self.token(index)).collect()),
        }
    }
}

impl Answer {
    pub fn new(id: String, request: &ChatRequest<'_>, behaviour: Behaviour, shared: &Shared) -> Self {
        let limit = request.max_completion_tokens.or(request.max_tokens);
        let empty = behaviour.fault == Some(Fault::ZeroTokens);
        let tokens = if empty { 0 } else { behaviour.tokens.unwrap_or_else(|| limit.unwrap_or(TOKENS_DEFAULT).min(TOKENS_CAP)) };
        let content = content(request, behaviour, tokens);
        let capped = behaviour.tokens.is_none() && limit.is_some_and(|limit| limit > TOKENS_CAP);
        let finish_reason = match content {
            _ if empty => None,
            _ if capped || behaviour.finish_length => Some("length"),
            Content::ToolCall { .. } => Some("tool_calls"),
            _ => Some("stop"),
        };
        let completion_tokens = tokens.saturating_mul(request.choices());
        let usage = Usage::report(request.prompt_tokens(), completion_tokens, behaviour.usage, behaviour.details);
        let cost = || shared.catalogue.cost_usd(&request.model, usage.prompt, usage.completion);
        let cost_usd = behaviour.framing.openrouter_usage.then(cost);
        let sent = behaviour.usage != UsageReport::Missing;
        Self {
            id,
            model: json_string(&request.model),
            prompt_tokens: request.prompt_tokens(),
            choices: request.choices(),
            tokens,
            content,
            finish_reason,
            logprobs: request.logprobs.then_some(request.top_logprobs.unwrap_or(0)),
            usage: sent.then(|| usage.to_json(cost_usd)),
            usage_asked: request.stream_options.include_usage,
            behaviour,
            format: shared.controls().format,
        }
    }

    /// Over all choices.
    pub const fn completion_tokens(&self) -> u64 {
        self.tokens.saturating_mul(self.choices)
    }

    /// The body of a plain answer.
    pub fn plain(&self) -> String {
        let message = self.message();
        let logprobs = self.all_logprobs();
        let finish_reason = self.finish_reason_json();
        let mut body = String::with_capacity(600 + message.len());
        let Self { id, model, .. } = self;
        let _ = write!(
            body,
            r#"{{"id":"{id}","object":"chat.completion","created":{CREATED_AT_S},"model":{model},"service_tier":"default","system_fingerprint":"fp_sim","choices":["#
        );
        for index in 0..self.choices {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(
                body,
                r#"{comma}{{"index":{index},"message":{message},"logprobs":{logprobs},"finish_reason":{finish_reason}}}"#
            );
        }
        body.push(']');
        for usage in self.usage.iter().cycle().take(self.usage_count()) {
            let _ = write!(body, r#","usage":{usage}"#);
        }
        body.push('}');
        body
    }

    /// How often the usage is told.
    pub fn usage_count(&self) -> usize {
        match self.behaviour.usage {
            UsageReport::Missing => 0,
            UsageReport::Twice => 2,
            _ => 1,
        }
    }

    /// A token's text, or its share of the JSON; past the share's end, spaces, which JSON doesn't mind.
    pub fn token(&self, index: u64) -> Cow<'_, str> {
        match &self.content {
            Content::Words(words) => Cow::Owned(words.token(index)),
            Content::Pieces(pieces) | Content::ToolCall { arguments: pieces, .. } => {
                let piece = usize::try_from(index).ok().and_then(|index| pieces.get(index));
                Cow::Borrowed(piece.map_or(" ", String::as_str))
            }
        }
    }

    pub fn finish_reason_json(&self) -> Cow<'static, str> {
        self.finish_reason.map_or(Cow::Borrowed("null"), |reason| Cow::Owned(format!("\"{reason}\"")))
    }

    /// The logprobs of one token, as an element of `content`.
    pub fn logprob(&self, token: &str) -> Value {
        let one = |token: &str, logprob: f64| json!({ "token": token, "logprob": logprob, "bytes": token.as_bytes() });
        let mut entry = one(token, -0.125);
        let top: Vec<Value> = (0..self.logprobs.unwrap_or(0).min(20)).map(|_| one(token, -0.125)).collect();
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("top_logprobs".to_owned(), Value::Array(top));
        }
        entry
    }

    fn all_logprobs(&self) -> String {
        if self.logprobs.is_none() || matches!(self.content, Content::ToolCall { .. }) {
            return "null".to_owned();
        }
        let content: Vec<Value> = (0..self.tokens).map(|index| self.logprob(&self.token(index))).collect();
        json!({ "content": content, "refusal": null }).to_string()
    }

    fn message(&self) -> String {
        match &self.content {
            Content::Words(words) => {
                // Nothing in the words needs an escape.
                format!(r#"{{"role":"assistant","content":"{}","refusal":null}}"#, words.text(self.tokens))
            }
            Content::Pieces(pieces) => {
                format!(r#"{{"role":"assistant","content":{},"refusal":null}}"#, json_string(&pieces.concat()))
            }
            Content::ToolCall { name, arguments } => {
                let function = json!({ "name": name, "arguments": arguments.concat() });
                let call = json!({ "id": self.call_id(), "type": "function", "function": function });
                json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": [call] }).to_string()
            }
        }
    }

    pub fn call_id(&self) -> String {
        format!("call_{}", self.id.replace('-', "_"))
    }
}

pub(super) fn json_string(text: &str) -> String {
    Value::from(text).to_string()
}

fn content(request: &ChatRequest<'_>, behaviour: Behaviour, tokens: u64) -> Content {
    let pieces = |value: &Value| shape::cut(&value.to_string(), tokens);
    if let Some(tool) = request.called_tool() {
        let name = tool.pointer("/function/name").and_then(Value::as_str).unwrap_or("unnamed").to_owned();
        let parameters = tool.pointer("/function/parameters");
        return Content::ToolCall { name, arguments: pieces(&parameters.map_or_else(|| json!({}), shape::instance)) };
    }
    let split = behaviour.framing.split_utf8;
    let damaged = behaviour.fault == Some(Fault::BadUtf8);
    let padding = usize::try_from(tokens).ok().and_then(|tokens| behaviour.content_bytes.checked_div(tokens)).unwrap_or(0);
    let words = Words { split, damaged, padding };
    match request.response_format.as_ref().and_then(|format| format.get("type")).and_then(Value::as_str) {
        Some("json_object") => Content::Pieces(pieces(&json!({ "answer": words.text(tokens) }))),
        Some("json_schema") => {
            let schema = request.response_format.as_ref().and_then(|format| format.pointer("/json_schema/schema"));
            Content::Pieces(pieces(&schema.map_or_else(|| json!({}), shape::instance)))
        }
        _ => Content::Words(words),
    }
}
