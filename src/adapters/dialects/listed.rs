//! A list that has arrived, read one entry after the other: a tree of all of it would take ten times the room of its text.

use super::Dialect;
use serde_json::value::RawValue;
use std::collections::HashSet;
use tollgate_actors::ports::CatalogModel;

/// The models of a list, in its order.
pub struct Listed {
    dialect: Dialect,
    entries: std::vec::IntoIter<Box<RawValue>>,
    taken: HashSet<String>,
    left_out: usize,
}

impl Listed {
    pub(super) fn new(dialect: Dialect, entries: Vec<Box<RawValue>>) -> Self {
        Self { dialect, entries: entries.into_iter(), taken: HashSet::new(), left_out: 0 }
    }

    fn model(&mut self, entry: &RawValue) -> Option<CatalogModel> {
        let model = (self.dialect.model)(&serde_json::from_str(entry.get()).ok()?)?;
        let model = if self.taken.contains(&model.id) { (self.dialect.again)(model) } else { model };
        self.taken.insert(model.id.clone());
        Some(model)
    }
}

impl Iterator for Listed {
    type Item = CatalogModel;

    fn next(&mut self) -> Option<CatalogModel> {
        while let Some(entry) = self.entries.next() {
            match self.model(&entry) {
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
