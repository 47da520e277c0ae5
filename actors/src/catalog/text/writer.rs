//! Writes a list's text, entry by entry. What the list before says already is not written again.

use super::{ListText, Span, index};
use crate::catalog::snapshot::CatalogEntry;
use std::hash::{DefaultHasher, Hash, Hasher};

/// More than most entries take.
const ENTRY_BYTES: usize = 2_048;
/// More models than the longest list has. Room is made for no more at once, as a gateway may announce any number.
const ENTRIES_EXPECTED: usize = 32_768;

/// A text under way.
///
/// 22,000 models take 20 MB, and a refresh finds most often what the last one found: so long as each entry is as before, nothing is
/// kept but their number.
#[derive(Default)]
pub(in crate::catalog) struct Writer {
    /// The text before, and how many entries begin it as they begin this one; `None` when it has said something else.
    before: Option<(ListText, usize)>,
    entries_expected: usize,
    text: String,
    spans: Vec<Span>,
}

impl Writer {
    /// With room for so many: a text that grows is copied, and takes thrice its room meanwhile. What is not used takes none.
    pub fn for_entries(count: usize) -> Self {
        let mut writer = Self { entries_expected: count.min(ENTRIES_EXPECTED), ..Self::default() };
        writer.make_room();
        writer
    }

    /// The same for a list that is expected to be as it was. Room is made when it is not.
    pub fn after(before: ListText, count: usize) -> Self {
        Self { before: Some((before, 0)), entries_expected: count.min(ENTRIES_EXPECTED), ..Self::default() }
    }

    /// Appends an entry that begins like that. `false`, and nothing is written, when the text has no room left (4 GiB).
    pub fn push(&mut self, open: &str, entry: &CatalogEntry) -> bool {
        if let Some((before, same)) = &mut self.before {
            self.text.clear();
            write(&mut self.text, open, entry);
            if before.says(*same, &self.text, open.len()) {
                *same += 1;
                return true;
            }
            self.diverge();
        }
        let length = self.text.len();
        if length > 0 {
            self.text.push(',');
        }
        let start = self.text.len();
        write(&mut self.text, open, entry);
        let place = |at: usize| u32::try_from(at).ok();
        let (Some(start), Some(open_end), Some(end)) = (place(start), place(start + open.len()), place(self.text.len())) else {
            self.text.truncate(length);
            return false;
        };
        self.spans.push(Span { start, open_end, end });
        true
    }

    /// The list before itself where nothing has changed.
    pub fn finish(mut self) -> ListText {
        match self.before.take() {
            Some((before, same)) if same > 0 && same == before.len() => return before,
            other => self.before = other,
        }
        self.diverge();
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        ListText { tag: hasher.finish(), bytes: self.text.into(), spans: self.spans.into() }
    }

    /// Takes over what was as before: from here on it is another text.
    fn diverge(&mut self) {
        let Some((before, same)) = self.before.take() else { return };
        self.text = String::new();
        self.make_room();
        self.spans.extend(before.spans.iter().take(same));
        let end = self.spans.last().map_or(0, |span| span.end);
        self.text.push_str(&String::from_utf8_lossy(&before.cut(0, end)));
    }

    fn make_room(&mut self) {
        self.text.reserve_exact(self.entries_expected * ENTRY_BYTES);
        self.spans.reserve_exact(self.entries_expected);
    }
}

impl ListText {
    /// Whether the entry at that place is this one, with so many bytes before its prices.
    fn says(&self, place: usize, entry: &str, open: usize) -> bool {
        self.spans.get(place).is_some_and(|span| {
            let (start, end) = (index(span.start), index(span.end));
            index(span.open_end) - start == open && self.bytes.get(start..end) == Some(entry.as_bytes())
        })
    }
}

fn write(text: &mut String, open: &str, entry: &CatalogEntry) {
    text.push_str(open);
    text.push(',');
    entry.write_pricing(text);
    text.push('}');
}
