//! An admitted call. Dropped, however that comes about, it makes room for the next.

use super::Shared;
use super::accounts::Ask;
use super::shared::returned;
use crate::identity::{Identity, TrialSlot};
use std::sync::Arc;
use tollgate_domain::{KeyId, UserId};

/// A place among the calls under way, with what was counted for it.
#[must_use]
pub struct Permit {
    shared: Arc<Shared>,
    user: UserId,
    key: KeyId,
    /// What it was admitted with.
    pub(super) tokens: i64,
    /// When it was counted.
    counted_s: i64,
    trial: Option<TrialSlot>,
    pub(super) stage: Stage,
    /// Counted where replicas decide together, too.
    pub(super) is_shared: bool,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Let through without being counted.
    Unknown,
    /// Has its place; is not counted yet.
    Placed,
    Counted,
    /// Charged: the counts are the real ones.
    Settled,
}

impl Permit {
    pub(super) fn new(shared: &Arc<Shared>, ask: &Ask<'_>, trial: Option<TrialSlot>, stage: Stage) -> Self {
        let (user, key, tokens, counted_s) = (ask.user, ask.key, ask.tokens, ask.now.timestamp());
        Self { shared: Arc::clone(shared), user, key, tokens, counted_s, trial, stage, is_shared: false }
    }

    /// The call is charged, and used so many tokens.
    pub fn settle(&mut self, identity: &Identity, tokens: i64) {
        if let Some(slot) = self.trial.take() {
            identity.trial_settled(slot, tokens);
        }
        self.correct(tokens);
    }

    /// The real tokens take the place of those that it was admitted with.
    pub(super) fn correct(&mut self, tokens: i64) {
        if self.stage != Stage::Counted {
            return;
        }
        self.stage = Stage::Settled;
        let too_many = self.tokens.saturating_sub(tokens);
        self.shared.accounts.change(self.user, self.key, |tally| tally.correct(too_many, self.counted_s));
        self.give_back_elsewhere(too_many, false);
    }

    fn give_back_elsewhere(&self, tokens: i64, came_to_nothing: bool) {
        if self.is_shared {
            self.shared.give_back_elsewhere(returned(self.user, self.key, self.counted_s, tokens, came_to_nothing));
        }
    }
}

impl Drop for Permit {
    // Mutant: without `end` a key has no calls left after its tenth: `a_client_that_leaves_a_stream_gives_its_place_back` is red.
    fn drop(&mut self) {
        if self.stage == Stage::Unknown {
            return;
        }
        let came_to_nothing = self.stage == Stage::Counted;
        self.shared.accounts.change(self.user, self.key, |tally| {
            if came_to_nothing {
                tally.release(self.tokens, self.counted_s);
            }
            tally.end();
        });
        if came_to_nothing {
            self.give_back_elsewhere(self.tokens, true);
        }
    }
}
