//! What is said, as text: of a message's content, and of an answer for the chat session that keeps it.

use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_store::chat_sessions::CONTENT_BYTES_MAX;

/// The text of a message's `content`: a string, or the texts of a list of parts.
#[must_use]
pub fn text_of(content: &str) -> String {
    #[derive(Deserialize)]
    struct Part {
        text: Option<String>,
    }
    if content.starts_with('[') {
        let parts: Vec<Part> = serde_json::from_str(content).unwrap_or_default();
        return parts.into_iter().filter_map(|part| part.text).collect::<Vec<_>>().join("\n");
    }
    serde_json::from_str::<Option<String>>(content).ok().flatten().unwrap_or_default()
}

/// The text of an answer's first choice, as far as a session keeps it.
#[derive(Debug, Default)]
pub struct Transcript(String);

/// A plain answer, or a chunk of a stream.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    message: Option<Said<'a>>,
    #[serde(borrow)]
    delta: Option<Said<'a>>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

impl Transcript {
    /// Adds an answer, or a chunk of one. Text past the bound is dropped.
    pub fn note(&mut self, json: &[u8]) {
        let choices = serde_json::from_slice::<Answer<'_>>(json).ok().and_then(|answer| answer.choices).unwrap_or_default();
        let first = choices.into_iter().find(|choice| choice.index.unwrap_or(0) == 0);
        let content = first.and_then(|choice| choice.message.or(choice.delta)?.content);
        if let Some(content) = content.filter(|_| self.0.len() < CONTENT_BYTES_MAX) {
            self.0.push_str(&text_of(content.get()));
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(pieces: &[&str]) -> String {
        let mut text = Transcript::default();
        pieces.iter().for_each(|piece| text.note(piece.as_bytes()));
        text.0
    }

    #[test]
    fn the_first_choices_text_is_kept_whole_or_in_pieces() {
        assert_eq!(
            noted(&[r#"{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a\u00e9"}}]}"#]),
            "aé"
        );
        let chunk = |text: &str| format!(r#"{{"choices":[{{"delta":{{"role":"assistant","content":{text}}}}}]}}"#);
        assert_eq!(noted(&[&chunk("\"a\""), &chunk("null"), &chunk("\" b\""), r#"{"choices":[],"usage":{}}"#]), "a b");
        assert_eq!(noted(&[&chunk(r#"[{"type":"text","text":"a"}]"#)]), "a");
        for odd in
            ["", "{}", r#"{"choices":null}"#, r#"{"choices":[{"delta":null}]}"#, r#"{"choices":[{"delta":{"content":7}}]}"#]
        {
            assert_eq!(noted(&[odd]), "", "{odd}");
        }
    }

    #[test]
    fn no_stream_makes_it_keep_more_than_a_session_has() {
        let chunk = format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(1_000));
        let mut text = Transcript::default();
        (0..2_000).for_each(|_| text.note(chunk.as_bytes()));
        assert!(text.0.len() < CONTENT_BYTES_MAX + 1_000);
    }
}
