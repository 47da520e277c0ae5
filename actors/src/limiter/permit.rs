//! An admitted call. Dropped, however that comes about, it makes room for the next.

use super::Shared;
use crate::identity::{Identity, TrialSlot};
use std::sync::Arc;
use tollgate_domain::{KeyId, UserId};

/// A place among the calls under way, with what was counted for it.
#[must_use]
pub struct Permit {
    pub(super) shared: Arc<Shared>,
    pub(super) user: UserId,
    pub(super) key: KeyId,
    /// What it was admitted with.
    pub(super) tokens: i64,
    /// When it was counted.
    pub(super) counted_s: i64,
    pub(super) trial: Option<TrialSlot>,
    pub(super) is_settled: bool,
    /// False: let through without being counted.
    pub(super) is_counted: bool,
}

impl Permit {
    /// The call is charged, and used so many tokens.
    pub fn settle(&mut self, identity: &Identity, tokens: i64) {
        if std::mem::replace(&mut self.is_settled, true) || !self.is_counted {
            return;
        }
        let too_many = self.tokens.saturating_sub(tokens);
        self.shared.accounts.change(self.user, self.key, |tally| tally.correct(too_many, self.counted_s));
        if let Some(slot) = self.trial.take() {
            identity.trial_settled(slot, tokens);
        }
    }
}

impl Drop for Permit {
    // Mutant: without `end` a key has no calls left after its tenth: `a_client_that_leaves_a_stream_gives_its_place_back` is red.
    fn drop(&mut self) {
        if !self.is_counted {
            return;
        }
        let (came_to_nothing, tokens, counted_s) = (!self.is_settled, self.tokens, self.counted_s);
        self.shared.accounts.change(self.user, self.key, |tally| {
            if came_to_nothing {
                tally.release(tokens, counted_s);
            }
            tally.end();
        });
    }
}
