//! A list's entries as JSON text, in one piece of memory: what the doors show is cut out of it, and never copied.

mod writer;

pub(super) use writer::Writer;

use super::snapshot::CatalogEntry;
use crate::ports::CatalogModel;
use bytes::Bytes;
use serde_json::Value;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;
use tollgate_domain::GatewayId;

/// Members that every entry begins with, whatever the gateway calls its own.
const LEADING: [&str; 4] = ["id", "object", "created", "owned_by"];
/// Stands in an entry whose gateway does not say when it was made.
const NO_CREATED: &str = "\"created\":null";

/// One list's entries, joined by commas.
///
/// An entry is its gateway's public fields between OpenAI's (`object`, `owned_by`) and `charged_pricing`: so that one text
/// serves the web clients' doors and OpenAI's.
#[derive(Clone, Debug, Default)]
pub struct ListText {
    bytes: Bytes,
    spans: Arc<[Span]>,
    tag: u64,
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    /// Behind the last of the gateway's fields.
    open_end: u32,
    end: u32,
}

/// Entries of one list that stand one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub gateway: GatewayId,
    pub places: Range<u32>,
}

/// Joins neighbours, so that a whole list is one run.
pub fn runs<'a>(entries: impl IntoIterator<Item = &'a CatalogEntry>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for entry in entries {
        match runs.last_mut() {
            Some(run) if run.gateway == entry.gateway && run.places.end == entry.place => run.places.end += 1,
            _ => runs.push(Run { gateway: entry.gateway, places: entry.place..entry.place.saturating_add(1) }),
        }
    }
    runs
}

impl ListText {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The same for the same entries, in every process.
    #[must_use]
    pub const fn tag(&self) -> u64 {
        self.tag
    }

    /// These entries, joined by commas; nothing where there are none. No copy.
    #[must_use]
    pub fn slice(&self, places: Range<u32>) -> Bytes {
        let first = self.span(places.start);
        let last = places.end.checked_sub(1).and_then(|place| self.span(place));
        match (first, last) {
            (Some(first), Some(last)) if first.start <= last.end => self.cut(first.start, last.end),
            _ => Bytes::new(),
        }
    }

    /// An entry around its `null` for `created`, which OpenAI's clients want to be a number; `None` when it has one.
    #[must_use]
    pub fn around_null_created(&self, place: u32) -> Option<(Bytes, Bytes)> {
        let entry = self.slice(place..place.saturating_add(1));
        // In a string the quotes would be escaped: it can't be found there.
        let found = std::str::from_utf8(&entry).ok()?.find(NO_CREATED)?;
        let end = found + NO_CREATED.len();
        Some((entry.slice(..end - "null".len()), entry.slice(end..)))
    }

    /// The same entries with what is charged for them now.
    pub(super) fn charged_anew(&self, entries: &[Arc<CatalogEntry>]) -> Self {
        let mut text = Writer::for_entries(entries.len());
        for entry in entries {
            text.push(self.open(entry.place), entry);
        }
        text.finish()
    }

    /// The entry's beginning: the gateway's fields, without prices that depend on other lists.
    fn open(&self, place: u32) -> &str {
        let bytes = self.span(place).and_then(|span| self.bytes.get(index(span.start)..index(span.open_end)));
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn span(&self, place: u32) -> Option<Span> {
        self.spans.get(index(place)).copied()
    }

    fn cut(&self, start: u32, end: u32) -> Bytes {
        self.bytes.slice(index(start)..index(end))
    }
}

/// A model's text up to the prices that depend on other lists: OpenAI's fields first, then the gateway's.
pub(super) fn open_text(model: CatalogModel, owned_by: &str) -> String {
    let mut fields = match model.public {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    let created = fields.get("created").and_then(Value::as_i64).map_or(Value::Null, Value::from);
    for leading in LEADING {
        fields.shift_remove(leading);
    }
    let mut open = String::with_capacity(1_024);
    // Writing to a String can't fail.
    let _ = write!(
        open,
        r#"{{"id":{},"object":"model","created":{created},"owned_by":{}"#,
        Value::from(model.id),
        Value::from(owned_by)
    );
    if !fields.is_empty() {
        let rest = Value::Object(fields).to_string();
        open.push(',');
        open.push_str(rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default());
    }
    open
}

/// `usize` is no smaller than `u32` on any machine that this runs on.
fn index(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
