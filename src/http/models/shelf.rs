//! Whole lists, rendered once for each catalogue.

use super::query::Choice;
use actix_web::web::Bytes;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use tollgate_actors::catalog::CatalogSnapshot;

/// What can be rendered: two forms for each gateway and for all of them, and OpenAI's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Page {
    List { choice: Choice, twice: bool },
    OpenAi,
}

/// A body, and the tag by which a client knows it again.
pub struct Rendered {
    pub body: Bytes,
    /// In quotes. Two bodies with one tag hold the same models at the same prices, perhaps fetched at other times.
    pub tag: String,
}

impl Rendered {
    /// `data` is the part of the body that the tag stands for.
    pub fn new(body: String, data: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        Self { body: body.into(), tag: format!("\"{:016x}\"", hasher.finish()) }
    }

    /// Weak: the time of fetching may differ.
    pub fn etag(&self) -> String {
        format!("W/{}", self.tag)
    }
}

/// One worker's rendered lists, all of one catalogue.
#[derive(Default)]
pub struct Shelf {
    current: RefCell<(u64, HashMap<Page, Rc<Rendered>>)>,
}

impl Shelf {
    /// The page of this snapshot, rendered now if it is not yet.
    pub(super) fn get(&self, snapshot: &CatalogSnapshot, page: Page, render: impl FnOnce() -> Rendered) -> Rc<Rendered> {
        let mut current = self.current.borrow_mut();
        let (version, pages) = &mut *current;
        if *version != snapshot.version() {
            *version = snapshot.version();
            pages.clear();
        }
        Rc::clone(pages.entry(page).or_insert_with(|| Rc::new(render())))
    }
}
