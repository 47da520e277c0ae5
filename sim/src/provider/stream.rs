//! Streamed answers: server-sent events as OpenAI's specification has them, unless told otherwise.

use super::Ended;
use super::answer::{Answer, Content, json_string};
use super::behaviour::{Behaviour, Fault};
use super::body::{Body, Framing};
use super::catalogue::CREATED_AT_S;
use super::http::{Conn, Gone};
use super::reply;
use super::stats::Meter;
use serde_json::json;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const COMMENT: &[u8] = b": OPENROUTER PROCESSING";

/// Writes one answer's events into a buffer.
pub(super) struct Events<'a> {
    answer: &'a Answer,
    /// What every chunk starts with, up to its choices.
    opening: String,
    /// What every chunk but the usage's ends with.
    closing: &'static str,
}

impl<'a> Events<'a> {
    pub fn new(answer: &'a Answer) -> Self {
        let Answer { id, model, .. } = answer;
        let opening = format!(
            r#"{{"id":"{id}","object":"chat.completion.chunk","created":{CREATED_AT_S},"model":{model},"service_tier":"default","system_fingerprint":"fp_sim""#
        );
        let asked = answer.usage_asked && answer.usage.is_some();
        Self { answer, opening, closing: if asked { r#","usage":null}"# } else { "}" } }
    }

    /// Every event of the answer, `[DONE]` too.
    pub fn whole(&self, out: &mut Vec<u8>) {
        self.start(out);
        for index in 0..self.answer.tokens {
            self.token(out, index);
        }
        self.finish(out);
        self.event(out, "[DONE]");
    }

    /// The role of each choice.
    pub fn start(&self, out: &mut Vec<u8>) {
        if self.answer.behaviour.framing.bom {
            out.extend_from_slice(BYTE_ORDER_MARK);
        }
        let delta = match &self.answer.content {
            Content::ToolCall { name, .. } => json!({
                "role": "assistant", "content": null, "refusal": null, "tool_calls": [{
                    "index": 0, "id": self.answer.call_id(), "type": "function", "function": { "name": name, "arguments": "" },
                }],
            })
            .to_string(),
            _ => r#"{"role":"assistant","content":"","refusal":null}"#.to_owned(),
        };
        for choice in 0..self.answer.choices {
            self.chunk(out, choice, &delta, "null", "null");
        }
    }

    /// One token of each choice.
    pub fn token(&self, out: &mut Vec<u8>, index: u64) {
        let token = self.answer.token(index);
        let text = json_string(&token);
        let (delta, logprobs) = match &self.answer.content {
            Content::ToolCall { .. } => (format!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":{text}}}}}]}}"#), None),
            _ => (format!(r#"{{"content":{text}}}"#), self.answer.logprobs),
        };
        let logprobs = logprobs.map_or_else(
            || "null".to_owned(),
            |_| json!({ "content": [self.answer.logprob(&token)], "refusal": null }).to_string(),
        );
        for choice in 0..self.answer.choices {
            self.chunk(out, choice, &delta, &logprobs, "null");
        }
    }

    /// The finish reasons, then the usage where it is asked for.
    pub fn finish(&self, out: &mut Vec<u8>) {
        if self.answer.finish_reason.is_some() {
            for choice in 0..self.answer.choices {
                self.chunk(out, choice, "{}", "null", &self.answer.finish_reason_json());
            }
        }
        let Some(usage) = &self.answer.usage else { return };
        // OpenRouter tells its usage always, in a chunk that has a choice.
        let openrouter = self.answer.behaviour.framing.openrouter_usage;
        if !openrouter && !self.answer.usage_asked {
            return;
        }
        let choices = if openrouter {
            r#"[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null}]"#
        } else {
            "[]"
        };
        for _ in 0..self.answer.usage_count() {
            self.event(out, &format!(r#"{},"choices":{choices},"usage":{usage}}}"#, self.opening));
        }
    }

    /// OpenRouter's way to break off when the status was sent already.
    fn error(&self, out: &mut Vec<u8>) {
        let error = r#"{"code":502,"message":"The provider broke off","metadata":{"error_type":"provider_unavailable"}}"#;
        let choices = r#"[{"index":0,"delta":{"content":""},"finish_reason":"error"}]"#;
        self.event(out, &format!(r#"{},"provider":"Sim","error":{error},"choices":{choices}}}"#, self.opening));
    }

    fn chunk(&self, out: &mut Vec<u8>, choice: u64, delta: &str, logprobs: &str, finish_reason: &str) {
        let Self { opening, closing, .. } = self;
        self.event(
            out,
            &format!(
                r#"{opening},"choices":[{{"index":{choice},"delta":{delta},"logprobs":{logprobs},"finish_reason":{finish_reason}}}]{closing}"#
            ),
        );
    }

    pub fn event(&self, out: &mut Vec<u8>, data: &str) {
        let framing = self.answer.behaviour.framing;
        let end: &[u8] = if framing.crlf { b"\r\n" } else { b"\n" };
        let field: &[u8] = if framing.no_space { b"data:" } else { b"data: " };
        if framing.comments {
            put(out, &[COMMENT, end, end]);
        }
        match data.split_at_checked(self.opening.len()) {
            // Lines are joined by a line feed, which is white space between two members.
            Some((first, second)) if framing.multi_line => put(out, &[field, first.as_bytes(), end, field, second.as_bytes()]),
            _ => put(out, &[field, data.as_bytes()]),
        }
        put(out, &[end, end]);
    }
}

fn put(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// Streams the answer, or as much of it as the behaviour lets through.
pub(super) async fn send(conn: &mut Conn, answer: &Answer, meter: &Meter<'_>) -> Result<Ended, Gone> {
    let events = Events::new(answer);
    let behaviour = &answer.behaviour;
    reply::put_head(&mut conn.out, 200, reply::EVENTS, &[reply::CHUNKED, ("x-generation-id", &answer.id)], None);
    meter.prompt(answer.prompt_tokens);
    let mut body = Body::new(conn, Framing::Chunked, behaviour, meter);
    events.start(body.waiting());
    let endless = behaviour.fault == Some(Fault::Endless);
    let last = last_token(behaviour).map_or(answer.tokens, |last| last.min(answer.tokens));
    let mut index = 0;
    while endless || index < last {
        body.pause(behaviour.token_delay).await?;
        events.token(body.waiting(), index);
        body.count(answer.choices);
        if index == 0 && behaviour.fault == Some(Fault::BadJson) {
            let data = format!(r#"{},"choices":[{{"index":0,"delta":{{"content":"#, events.opening);
            events.event(body.waiting(), &data);
        }
        body.flush_if_full().await?;
        index += 1;
    }
    if last_token(behaviour).is_some() {
        return break_off(body, &events, index).await;
    }
    events.finish(body.waiting());
    events.event(body.waiting(), "[DONE]");
    if behaviour.framing.events_after_done {
        events.token(body.waiting(), index);
        put(body.waiting(), &[COMMENT, b"\n\n"]);
    }
    body.end().await?;
    Ok(Ended::Finished)
}

/// After how many tokens the stream breaks off.
const fn last_token(behaviour: &Behaviour) -> Option<u64> {
    match behaviour.fault {
        Some(Fault::StallAfter(n) | Fault::EofAfter(n) | Fault::CutAfter(n) | Fault::ResetAfter(n) | Fault::ErrorIn200(n)) => {
            Some(n)
        }
        Some(Fault::HalfEventThenEof) => Some(2),
        _ => None,
    }
}

async fn break_off(mut body: Body<'_>, events: &Events<'_>, index: u64) -> Result<Ended, Gone> {
    match events.answer.behaviour.fault {
        Some(Fault::CutAfter(_)) => body.flush().await.map(|()| Ended::Closed),
        Some(Fault::ResetAfter(_)) => body.flush().await.map(|()| Ended::Reset),
        Some(Fault::StallAfter(_)) => Err(body.silence().await),
        Some(Fault::ErrorIn200(_)) => {
            events.error(body.waiting());
            body.end().await.map(|()| Ended::Faulted)
        }
        Some(Fault::HalfEventThenEof) => {
            let mut event = Vec::new();
            events.token(&mut event, index);
            event.truncate(event.len() / 2);
            body.push(&event);
            body.end().await.map(|()| Ended::Faulted)
        }
        _ => body.end().await.map(|()| Ended::Faulted),
    }
}

/// The event of a token, cut where the token's text would stand.
pub(super) fn around_token(answer: &Answer) -> (String, String) {
    let Events { opening, closing, .. } = Events::new(answer);
    let before = format!(r#"data: {opening},"choices":[{{"index":0,"delta":{{"content":""#);
    (before, format!("\"}},\"logprobs\":null,\"finish_reason\":null}}]{closing}\n\n"))
}
