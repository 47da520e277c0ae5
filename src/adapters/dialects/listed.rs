//! A list that has arrived, read one entry after the other out of its text: a tree of all of it would take ten times that room.

use super::Dialect;
use std::collections::HashSet;
use std::ops::Range;
use tollgate_actors::ports::CatalogModel;

/// The models of a list, in its order.
pub struct Listed {
    dialect: Dialect,
    body: Vec<u8>,
    /// Where they stand in it.
    entries: std::vec::IntoIter<Range<usize>>,
    taken: HashSet<String>,
    left_out: usize,
}

impl Listed {
    pub(super) fn new(dialect: Dialect, body: Vec<u8>, entries: Vec<Range<usize>>) -> Self {
        Self { dialect, body, entries: entries.into_iter(), taken: HashSet::new(), left_out: 0 }
    }

    fn model(&mut self, entry: Range<usize>) -> Option<CatalogModel> {
        let model = (self.dialect.model)(&serde_json::from_slice(self.body.get(entry)?).ok()?)?;
        let model = if self.taken.contains(&model.id) { (self.dialect.again)(model) } else { model };
        self.taken.insert(model.id.clone());
        Some(model)
    }
}

impl Iterator for Listed {
    type Item = CatalogModel;

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.entries.len()))
    }

    fn next(&mut self) -> Option<CatalogModel> {
        while let Some(entry) = self.entries.next() {
            match self.model(entry) {
                None => self.left_out += 1,
                model => return model,
            }
        }
        if self.left_out > 0 {
            tracing::info!(gateway = %self.dialect.id, left_out = self.left_out, "entries that are no chat models");
        }
        None
    }
}
