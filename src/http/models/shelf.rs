//! What is worked out once for each catalogue and shared by all workers. All of it is bounded by the catalogue: nothing is
//! kept for what a caller asks beside.

use super::gzip::Segments;
use super::makers::Maker;
use super::query::Choice;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tollgate_actors::catalog::{CatalogSnapshot, Run, runs};

/// The doors' own part of [`Services`](crate::startup::Services).
#[derive(Default)]
pub struct Shelf {
    makers: PerVersion<Choice, Vec<Maker>>,
    callable: PerVersion<(), Vec<Run>>,
    segments: Segments,
}

impl Shelf {
    /// Who made the models of the choice.
    pub(super) fn makers(&self, snapshot: &CatalogSnapshot, choice: Choice) -> Arc<OnceLock<Vec<Maker>>> {
        let slot = self.makers.slot(snapshot, choice);
        slot.get_or_init(|| Maker::all(choice, snapshot));
        slot
    }

    /// Each id once, at the gateway that is tried first.
    pub(super) fn callable(&self, snapshot: &CatalogSnapshot) -> Vec<Run> {
        let first = || {
            let all = snapshot.lists().flat_map(|list| &list.entries);
            runs(
                all.filter(|entry| snapshot.find(&entry.id).is_some_and(|first| Arc::ptr_eq(first, entry))).map(|entry| &**entry),
            )
        };
        self.callable.slot(snapshot, ()).get_or_init(first).clone()
    }

    pub(super) const fn segments(&self) -> &Segments {
        &self.segments
    }
}

/// Values of one snapshot, each computed by who asks first; the others wait.
struct PerVersion<K, V>(Mutex<(u64, Slots<K, V>)>);

type Slots<K, V> = HashMap<K, Arc<OnceLock<V>>>;

impl<K, V> Default for PerVersion<K, V> {
    fn default() -> Self {
        Self(Mutex::new((0, HashMap::new())))
    }
}

impl<K: Eq + Hash, V> PerVersion<K, V> {
    fn slot(&self, snapshot: &CatalogSnapshot, key: K) -> Arc<OnceLock<V>> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (version, slots) = &mut *current;
        // Mutant: without this line a new catalogue is answered out of the old one.
        if *version != snapshot.version() {
            *version = snapshot.version();
            slots.clear();
        }
        Arc::clone(slots.entry(key).or_default())
    }
}
