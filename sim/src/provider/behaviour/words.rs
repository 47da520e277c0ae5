//! The words of behaviours, read.

use super::{Behaviour, Fault, UnknownBehaviour, UsageReport};
use std::time::Duration;

const MEBIBYTE: usize = 1 << 20;
const LONG_LINE_BYTES: u64 = 100_000_000;
/// Longest answer that a behaviour may ask for; streams hold one event at a time, plain answers all of it.
const TOKENS_MAX: u64 = 1_000_000;

/// `name`, `name:argument` or `name-digits`.
pub(super) struct Word<'a> {
    whole: &'a str,
    pub name: &'a str,
    argument: Option<&'a str>,
}

impl<'a> Word<'a> {
    pub fn read(whole: &'a str) -> Self {
        if let Some((name, argument)) = whole.split_once(':') {
            return Self { whole, name, argument: Some(argument) };
        }
        let numeric = |tail: &str| tail.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
        match whole.rsplit_once('-') {
            // `error-in-200` is a name, not 200 of something.
            Some((name, tail)) if !tail.is_empty() && numeric(tail) && whole != "error-in-200" => {
                Self { whole, name, argument: Some(tail) }
            }
            _ => Self { whole, name: whole, argument: None },
        }
    }

    fn number(&self) -> Result<u64, UnknownBehaviour> {
        self.argument.and_then(|argument| argument.parse().ok()).ok_or_else(|| self.unknown())
    }

    fn millis(&self) -> Result<Duration, UnknownBehaviour> {
        Ok(Duration::from_millis(self.number()?))
    }

    fn status(&self) -> Result<u16, UnknownBehaviour> {
        let number = u16::try_from(self.number()?).map_err(|_| self.unknown())?;
        if (200..=599).contains(&number) { Ok(number) } else { Err(self.unknown()) }
    }

    fn unknown(&self) -> UnknownBehaviour {
        UnknownBehaviour(self.whole.to_owned())
    }
}

impl Behaviour {
    pub(super) fn apply(&mut self, word: &Word<'_>) -> Result<(), UnknownBehaviour> {
        if self.apply_pace(word)? || self.apply_usage(word)? || self.apply_framing(word) {
            return Ok(());
        }
        self.fault = Some(fault(word)?);
        if let Some(Fault::Status(_)) = self.fault
            && word.name == "retry-after"
        {
            self.retry_after_s = Some(word.number()?);
        }
        Ok(())
    }

    fn apply_pace(&mut self, word: &Word<'_>) -> Result<bool, UnknownBehaviour> {
        match (word.name, word.argument) {
            ("fast", None) => *self = Self::default(),
            ("delay", _) => self.delay = word.millis()?,
            ("token-delay", _) => self.token_delay = word.millis()?,
            ("slow", None) => self.byte_delay = Some(Duration::from_secs(1)),
            ("slow", _) => self.byte_delay = Some(word.millis()?),
            ("tokens", _) => self.tokens = Some(word.number()?.min(TOKENS_MAX)),
            ("huge", None) => self.content_bytes = MEBIBYTE,
            ("huge", _) => self.content_bytes = usize::try_from(word.number()?).map_err(|_| word.unknown())?,
            ("length", None) => self.finish_length = true,
            // A status that was already said keeps standing: `status:503;retry-after:1`.
            ("retry-after", _) if matches!(self.fault, Some(Fault::Status(_))) => self.retry_after_s = Some(word.number()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn apply_usage(&mut self, word: &Word<'_>) -> Result<bool, UnknownBehaviour> {
        match (word.name, word.argument) {
            ("usage", Some(argument)) => {
                let counts = argument.split_once(',').and_then(|(p, c)| Some((p.parse().ok()?, c.parse().ok()?)));
                let (prompt, completion) = counts.ok_or_else(|| word.unknown())?;
                self.usage = UsageReport::Exact { prompt, completion };
            }
            ("cached", _) => self.details.cached = word.number()?,
            ("cache-write", _) => self.details.cache_write = word.number()?,
            ("reasoning", _) => self.details.reasoning = word.number()?,
            ("no-usage", None) => self.usage = UsageReport::Missing,
            ("negative-usage", None) => self.usage = UsageReport::Negative,
            ("usage-twice", None) => self.usage = UsageReport::Twice,
            ("absurd-usage", None) => self.usage = UsageReport::Absurd,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn apply_framing(&mut self, word: &Word<'_>) -> bool {
        let flag = match (word.name, word.argument) {
            ("crlf", None) => &mut self.framing.crlf,
            ("bom", None) => &mut self.framing.bom,
            ("no-space", None) => &mut self.framing.no_space,
            ("multi-line", None) => &mut self.framing.multi_line,
            ("comments", None) => &mut self.framing.comments,
            ("events-after-done", None) => &mut self.framing.events_after_done,
            ("split-utf8", None) => &mut self.framing.split_utf8,
            ("openrouter-usage", None) => &mut self.framing.openrouter_usage,
            _ => return false,
        };
        *flag = true;
        true
    }
}

fn fault(word: &Word<'_>) -> Result<Fault, UnknownBehaviour> {
    Ok(match (word.name, word.argument) {
        ("silent", None) => Fault::Silent,
        ("headers-then-silence", None) => Fault::HeadersThenSilence,
        ("hang-up", None) => Fault::HangUp,
        ("rst", None) => Fault::Reset,
        ("stall-after", _) => Fault::StallAfter(word.number()?),
        ("eof-after", _) => Fault::EofAfter(word.number()?),
        ("cut-after", _) => Fault::CutAfter(word.number()?),
        ("rst-after", _) => Fault::ResetAfter(word.number()?),
        ("half-event-then-eof", None) => Fault::HalfEventThenEof,
        ("bad-json", None) => Fault::BadJson,
        ("bad-utf8", None) => Fault::BadUtf8,
        ("status", _) => Fault::Status(word.status()?),
        ("429", None) | ("retry-after", Some(_)) => Fault::Status(429),
        ("503", None) => Fault::Status(503),
        ("529", None) => Fault::Status(529),
        ("500-html", None) => Fault::Html500,
        ("error-in-200", None) => Fault::ErrorIn200(2),
        ("error-in-200", _) => Fault::ErrorIn200(word.number()?),
        ("json-instead-of-sse", None) => Fault::JsonInsteadOfSse,
        ("long-line", None) => Fault::LongLine(LONG_LINE_BYTES),
        ("long-line", _) => Fault::LongLine(word.number()?),
        ("endless", None) => Fault::Endless,
        ("redirect", None) => Fault::Redirect,
        ("lying-content-length", None) => Fault::LyingContentLength,
        ("chunk-lies", None) => Fault::ChunkLies,
        ("gzip-unasked", None) => Fault::GzipUnasked,
        ("zero-tokens", None) => Fault::ZeroTokens,
        _ => return Err(word.unknown()),
    })
}
