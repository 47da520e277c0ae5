//! How long a cached caller may be believed.
//!
//! A cached caller is believed while this replica follows the changes, and then until its user changes. When following
//! fails, it is believed for [`UNFOLLOWED`] after it was read: each key then costs one read of the database per second,
//! and a revoked key is still refused within a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tollgate_domain::UserId;

/// How long knowledge counts that nobody refreshes. A second is promised (K1); the rest is for the reading that follows,
/// on a busy machine.
pub(super) const UNFOLLOWED: Duration = Duration::from_millis(750);

/// Followed or not, a caller is read anew after this: a change that was missed heals.
pub(super) const BELIEVED_MAX: Duration = Duration::from_secs(30);

/// Users share these marks by their id. A mark that two users share costs one read too many, never one too few.
const MARKS: usize = 16_384;

/// A moment of this process: microseconds since the freshness was made. 0 is before everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

/// What is known of changes.
pub(super) struct Freshness {
    origin: Instant,
    /// When the last successful read of the changes began.
    followed: AtomicU64,
    /// When everybody was last taken for changed.
    all_changed: AtomicU64,
    changed: Box<[AtomicU64]>,
}

impl Freshness {
    pub(super) fn new() -> Self {
        let changed = (0..MARKS).map(|_| AtomicU64::new(0)).collect();
        Self { origin: Instant::now(), followed: AtomicU64::new(0), all_changed: AtomicU64::new(0), changed }
    }

    pub(super) fn now(&self) -> Moment {
        Moment(micros(self.origin.elapsed()).saturating_add(1))
    }

    /// The changes were read; the reading began at that moment.
    pub(super) fn followed(&self, since: Moment) {
        self.followed.fetch_max(since.0, Ordering::AcqRel);
    }

    /// The moment of the last successful reading.
    pub(super) fn last_followed(&self) -> Moment {
        Moment(self.followed.load(Ordering::Acquire))
    }

    /// Something of this user's has changed.
    pub(super) fn mark(&self, user: UserId) {
        if let Some(mark) = self.slot(user) {
            mark.fetch_max(self.now().0, Ordering::AcqRel);
        }
    }

    /// Changes may have been missed.
    pub(super) fn mark_all(&self) {
        self.all_changed.fetch_max(self.now().0, Ordering::AcqRel);
    }

    /// May what was read of the user (the reading began at `read_at`) be believed now?
    pub(super) fn believes(&self, user: UserId, read_at: Moment) -> bool {
        let now = self.now();
        let age_below = |moment: u64, max: Duration| now.0.saturating_sub(moment) < micros(max);
        let changed = self.slot(user).map_or(u64::MAX, |mark| mark.load(Ordering::Acquire));
        // Mutant: dropping the last condition turns `a_revoked_key_is_refused_within_a_second_without_a_follower` red.
        read_at.0 > changed
            && read_at.0 > self.all_changed.load(Ordering::Acquire)
            && age_below(read_at.0, BELIEVED_MAX)
            && age_below(read_at.0.max(self.followed.load(Ordering::Acquire)), UNFOLLOWED)
    }

    fn slot(&self, user: UserId) -> Option<&AtomicU64> {
        usize::try_from(user.0).ok().and_then(|id| self.changed.get(id % MARKS))
    }
}

impl Moment {
    pub(super) fn until(self, later: Self) -> Duration {
        Duration::from_micros(later.0.saturating_sub(self.0))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    const USER: UserId = UserId(5);

    #[test]
    fn what_was_read_is_believed_until_its_user_changes() {
        let freshness = Freshness::new();
        let read_at = freshness.now();
        assert!(freshness.believes(USER, read_at));
        freshness.mark(UserId(6));
        assert!(freshness.believes(USER, read_at));
        freshness.mark(USER);
        assert!(!freshness.believes(USER, read_at));
        sleep(Duration::from_micros(10));
        assert!(freshness.believes(USER, freshness.now()));
    }

    #[test]
    fn a_gap_in_the_following_makes_everybody_stale() {
        let freshness = Freshness::new();
        let read_at = freshness.now();
        freshness.mark_all();
        assert!(!freshness.believes(USER, read_at));
    }

    #[test]
    fn a_reading_that_began_before_the_change_is_not_believed_although_it_ended_after() {
        let freshness = Freshness::new();
        let began = freshness.now();
        freshness.mark(USER);
        assert!(!freshness.believes(USER, began), "the change may have committed after the reading's snapshot");
    }

    #[test]
    fn without_following_a_reading_is_believed_for_less_than_a_second() {
        let freshness = Freshness::new();
        let read_at = freshness.now();
        sleep(UNFOLLOWED);
        assert!(!freshness.believes(USER, read_at));
        freshness.followed(freshness.now());
        assert!(freshness.believes(USER, read_at), "followed again, and nothing changed meanwhile");
    }
}
