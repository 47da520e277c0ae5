//! How an answer is to go wrong, or odd: words that a request says in its model's name (`sim/<word>`) or in the header
//! `x-sim-behaviour`. Several are joined by `;`, later ones win; the header adds to the model, the model to the default.
//! A number follows after `:` or `-` (`rst-after:3`, `rst-after-3`).
//!
//! | word | what happens in a stream | in a plain answer |
//! |---|---|---|
//! | `fast` | nothing odd, at once: forgets what stood before it | the same |
//! | `delay:MS` | silence before the first byte | the same |
//! | `token-delay:MS` | silence before each token | before the answer, once for each token |
//! | `slow`, `slow:MS` | the body goes out byte by byte, one a second (or each MS) | the same |
//! | `tokens:N` | N tokens, whatever the request's limit says | the same |
//! | `huge`, `huge:BYTES` | the same tokens, padded to 1 MiB (or BYTES) of content | the same |
//! | `length` | the finish reason is `length` | the same |
//! | `usage:P,C` | the usage says P and C, whatever was sent | the same |
//! | `cached:N`, `cache-write:N`, `reasoning:N` | the usage's details say so | the same |
//! | `openrouter-usage` | usage unasked, with `cost`, in a last chunk that has choices | usage with `cost` |
//! | `crlf` | lines end in CR LF | |
//! | `bom` | a byte order mark first | a byte order mark first |
//! | `no-space` | `data:{…}` | |
//! | `multi-line` | an event's JSON over two `data:` lines | |
//! | `comments` | `: OPENROUTER PROCESSING` before and between the events | |
//! | `events-after-done` | one more token and a comment after `[DONE]` | |
//! | `split-utf8` | `€` tokens, each cut in the middle by two writes | the same |
//! | `no-usage` | no usage, asked or not | the same |
//! | `zero-tokens` | an empty answer: no tokens, no finish reason | the same |
//! | `negative-usage` | −5 and −7 tokens | the same |
//! | `usage-twice` | the usage chunk comes two times | the key stands there twice |
//! | `absurd-usage` | 10¹⁵ tokens each way | the same |
//! | `silent` | the request is read, nothing is ever answered | the same |
//! | `headers-then-silence` | status and headers, then nothing | the same |
//! | `hang-up` | the connection ends before the first byte | the same |
//! | `rst` | it is reset (TCP RST) before the first byte | the same |
//! | `stall-after:N` | silence after N tokens | after half the body |
//! | `eof-after:N` | HTTP ends well after N tokens: no finish reason, no `[DONE]` | half the body, framed as if whole |
//! | `cut-after:N` | the connection ends after N tokens, without the last HTTP chunk | after half the body |
//! | `rst-after:N` | it is reset after N tokens | after half the body |
//! | `half-event-then-eof` | two tokens, half an event, then HTTP ends well | half the body, framed as if whole |
//! | `bad-json` | the second event is cut JSON, the rest is right | a body that is no JSON |
//! | `bad-utf8` | bytes FF FE FF in the first token | the same |
//! | `status:N` | HTTP status N with OpenAI's error body | the same |
//! | `429`, `503`, `529` | short for `status:` | the same |
//! | `retry-after:S` | adds `Retry-After: S` to the status; alone it is a 429 | the same |
//! | `500-html` | status 500 with a page of HTML | the same |
//! | `error-in-200`, `error-in-200:N` | OpenRouter's error event after 2 (N) tokens, then HTTP ends well | an error body under status 200 |
//! | `json-instead-of-sse` | a plain JSON answer | nothing odd |
//! | `long-line`, `long-line:BYTES` | one line of 100 MB (BYTES) after the first event, then `[DONE]` | a content of that size |
//! | `endless` | tokens until the client goes | the same, in one JSON string |
//! | `redirect` | 307 to a place that counts who comes | the same |
//! | `lying-content-length` | the connection ends 1,000 bytes before the announced length | the same |
//! | `chunk-lies` | a chunk's size is not its size, the next one is no number | the same |
//! | `gzip-unasked` | `Content-Encoding: gzip`, asked or not | the same |
//!
//! A server can't simulate a refused connection: for that, aim at a closed port (`Provider::stop`, then its address).

use std::time::Duration;
use words::Word;

#[cfg(test)]
mod tests;
mod words;

/// What went wrong with the whole answer. At most one is in force: the last one said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Silent,
    HeadersThenSilence,
    HangUp,
    Reset,
    StallAfter(u64),
    EofAfter(u64),
    CutAfter(u64),
    ResetAfter(u64),
    HalfEventThenEof,
    BadJson,
    BadUtf8,
    Status(u16),
    Html500,
    ErrorIn200(u64),
    JsonInsteadOfSse,
    LongLine(u64),
    Endless,
    Redirect,
    LyingContentLength,
    ChunkLies,
    GzipUnasked,
    ZeroTokens,
}

/// What the usage says of the tokens that were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageReport {
    #[default]
    Honest,
    Missing,
    Negative,
    Twice,
    Absurd,
    Exact {
        prompt: u64,
        completion: u64,
    },
}

/// Parts of the prompt and the completion that have prices of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageDetails {
    pub cached: u64,
    pub cache_write: u64,
    pub reasoning: u64,
}

/// Legal but unusual ways to write the same answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    pub crlf: bool,
    pub bom: bool,
    pub no_space: bool,
    pub multi_line: bool,
    pub comments: bool,
    pub events_after_done: bool,
    pub split_utf8: bool,
    pub openrouter_usage: bool,
}

/// Everything that one answer is told to do. The default is an instant, honest answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    pub delay: Duration,
    pub token_delay: Duration,
    /// Silence before each byte of the body.
    pub byte_delay: Option<Duration>,
    pub tokens: Option<u64>,
    /// Least size of the whole content.
    pub content_bytes: usize,
    pub finish_length: bool,
    pub usage: UsageReport,
    pub details: UsageDetails,
    pub framing: Framing,
    pub retry_after_s: Option<u64>,
    pub fault: Option<Fault>,
}

/// A word that is none, or whose number is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no behaviour is called {0:?}")]
pub struct UnknownBehaviour(pub String);

/// One of each kind that leaves the caller without an answer it can trust; each is the model `sim/<word>`, too.
const FAULTS: &[&str] = &[
    "silent",
    "headers-then-silence",
    "hang-up",
    "rst",
    "slow",
    "stall-after-3",
    "eof-after-3",
    "cut-after-3",
    "rst-after-3",
    "half-event-then-eof",
    "bad-json",
    "bad-utf8",
    "status-400",
    "status-402",
    "status-404",
    "429",
    "retry-after-1",
    "500-html",
    "503",
    "529",
    "error-in-200",
    "json-instead-of-sse",
    "long-line",
    "endless",
    "redirect",
    "lying-content-length",
    "chunk-lies",
    "gzip-unasked",
    "no-usage",
    "zero-tokens",
    "negative-usage",
    "usage-twice",
    "absurd-usage",
];

/// One of each kind that is a whole and right answer, written oddly.
const ODDITIES: &[&str] = &[
    "fast",
    "delay-60",
    "token-delay-20",
    "tokens-200",
    "huge",
    "length",
    "usage-11,7",
    "cached-4",
    "cache-write-4",
    "reasoning-4",
    "openrouter-usage",
    "crlf",
    "bom",
    "no-space",
    "multi-line",
    "comments",
    "events-after-done",
    "split-utf8",
];

impl Behaviour {
    /// Reads words joined by `;`.
    ///
    /// # Errors
    /// The first word that the table above doesn't have.
    pub fn parse(words: &str) -> Result<Self, UnknownBehaviour> {
        Self::default().and(words)
    }

    /// This behaviour, changed by further words.
    ///
    /// # Errors
    /// The first word that the table above doesn't have.
    pub fn and(mut self, words: &str) -> Result<Self, UnknownBehaviour> {
        for word in words.split(';').map(str::trim).filter(|word| !word.is_empty()) {
            self.apply(&Word::read(word))?;
        }
        Ok(self)
    }

    /// One of each fault, with its word (`sim/<word>` is its model). Not all end by themselves: [`Self::ends`].
    #[must_use]
    pub fn faults() -> Vec<(&'static str, Self)> {
        samples(FAULTS)
    }

    /// One of each legal oddity, with its word: each must come through as a success.
    #[must_use]
    pub fn oddities() -> Vec<(&'static str, Self)> {
        samples(ODDITIES)
    }

    /// Whether the answer, or its connection, comes to an end without the client's doing.
    #[must_use]
    pub const fn ends(&self) -> bool {
        !matches!(self.fault, Some(Fault::Silent | Fault::HeadersThenSilence | Fault::StallAfter(_) | Fault::Endless))
    }
}

fn samples(words: &[&'static str]) -> Vec<(&'static str, Behaviour)> {
    words.iter().filter_map(|word| Some((*word, Behaviour::parse(word).ok()?))).collect()
}
