//! A request's messages beside those of a chat session: what stands before them, and which of them is the session's next.

use super::ChatRequest;
use super::members::Field;
use crate::completion::text::text_of;
use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

impl ChatRequest {
    /// The text of the last message of a user's; images have none.
    #[must_use]
    pub fn last_user_text(&self) -> Option<String> {
        let messages: Vec<Message<'_>> = serde_json::from_str(self.messages()?).ok()?;
        let last = messages.into_iter().rfind(|message| message.role == "user")?;
        Some(last.content.map(|content| text_of(content.get())).unwrap_or_default())
    }

    /// Puts messages before the request's own, but behind the instructions that those begin with: models want them first.
    /// `history`: JSON objects with commas between.
    pub fn insert_history(&mut self, history: &str) {
        let Some((at, is_end)) = self.history_at() else { return };
        let piece = if is_end { format!(",{history}") } else { format!("{history},") };
        let (before, behind) = self.body.split_at(at.min(self.body.len()));
        let mut body = BytesMut::with_capacity(self.body.len() + piece.len());
        for part in [before, piece.as_bytes(), behind] {
            body.extend_from_slice(part);
        }
        self.body = body.freeze();
        self.prompt.bytes += piece.len();
        for member in &mut self.members {
            if member.whole.start >= at {
                member.whole.start += piece.len();
                member.value_at += piece.len();
            }
            if member.whole.end >= at {
                member.whole.end += piece.len();
            }
        }
    }

    /// Where the first message stands that is no instruction, or the last one ends (`true`), as an offset into the body.
    fn history_at(&self) -> Option<(usize, bool)> {
        let messages: Vec<&RawValue> = serde_json::from_str(self.messages()?).ok()?;
        let offset = |text: &str| text.as_ptr().addr() - self.body.as_ptr().addr();
        let first = messages.iter().find(|message| !is_instruction(message));
        match first {
            Some(message) => Some((offset(message.get()), false)),
            None => messages.last().map(|message| (offset(message.get()) + message.get().len(), true)),
        }
    }

    fn messages(&self) -> Option<&str> {
        let member = self.members.iter().find(|member| member.field == Field::Messages)?;
        Some(member.text(&self.body))
    }
}

fn is_instruction(message: &RawValue) -> bool {
    serde_json::from_str::<Message<'_>>(message.get()).is_ok_and(|message| matches!(&*message.role, "system" | "developer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::{Value, json};
    use tollgate_domain::GatewayId;

    const HISTORY: &str = r#"{"role":"user","content":"a"},{"role":"assistant","content":"b"}"#;

    fn read(body: &str) -> ChatRequest {
        ChatRequest::read(Bytes::copy_from_slice(body.as_bytes())).expect("valid")
    }

    fn roles(request: &ChatRequest) -> Vec<String> {
        let body: Value = serde_json::from_slice(&request.upstream_body(GatewayId::OpenRouter, "m", None)).expect("JSON");
        let role = |message: &Value| format!("{}:{}", message["role"].as_str().unwrap(), message["content"].as_str().unwrap());
        body["messages"].as_array().unwrap().iter().map(role).collect()
    }

    #[test]
    fn history_stands_before_the_messages_and_behind_their_instructions() {
        let mut plain = read(r#"{"model":"m", "messages" : [ {"role":"user","content":"c"} ] ,"max_tokens":5}"#);
        plain.insert_history(HISTORY);
        assert_eq!(roles(&plain), ["user:a", "assistant:b", "user:c"]);
        let instructed = r#"{"messages":[{"role":"system","content":"s"},{"content":"d","role":"developer"},{"role":"user","content":"c"},{"role":"system","content":"t"}],"model":"m"}"#;
        let mut instructed = read(instructed);
        instructed.insert_history(HISTORY);
        assert_eq!(roles(&instructed), ["system:s", "developer:d", "user:a", "assistant:b", "user:c", "system:t"]);
        let mut only = read(r#"{"model":"m","messages":[{"role":"system","content":"s"}]}"#);
        only.insert_history(HISTORY);
        assert_eq!(roles(&only), ["system:s", "user:a", "assistant:b"]);
    }

    #[test]
    fn what_is_edited_beside_it_is_edited_still_and_the_prompt_is_the_longer_one() {
        let body = r#"{"session_id":1,"messages":[{"role":"user","content":"c"}],"max_tokens":5000,"stream":true,"model":"m"}"#;
        let (mut request, before) = (read(body), read(body));
        request.insert_history(HISTORY);
        let sent: Value = serde_json::from_slice(&request.upstream_body(GatewayId::OpenRouter, "other", Some(7))).expect("JSON");
        assert_eq!(sent["messages"].as_array().unwrap().len(), 3);
        let expected = json!([7, "other", {"include_usage": true}, null]);
        assert_eq!(json!([sent["max_tokens"], sent["model"], sent["stream_options"], sent.get("session_id")]), expected);
        assert_eq!(request.prompt.bytes, before.prompt.bytes + HISTORY.len() + 1);
    }

    #[test]
    fn the_last_user_message_is_told_by_its_texts() {
        let text = |messages: &str| read(&format!(r#"{{"model":"m","messages":{messages}}}"#)).last_user_text();
        let two = r#"[{"role":"user","content":"a"},{"role":"user","content":"b\n\u00e9"},{"role":"assistant","content":"c"}]"#;
        assert_eq!(text(two).as_deref(), Some("b\né"));
        let parts = r#"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:,A"}},{"type":"text","text":"b"}]}]"#;
        assert_eq!(text(parts).as_deref(), Some("a\nb"));
        assert_eq!(text(r#"[{"role":"system","content":"a"}]"#), None);
    }
}
