//! Follows the changes that other replicas, and this one, make to keys and users.
//!
//! NOTIFY wakes it, the table tells the truth: its last seconds are read twice a second, on a connection of the
//! follower's own, so that a busy pool can't delay it. A row becomes visible when its transaction commits, which may be
//! after rows with later times: hence a window and not a position.

use super::Shared;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tollgate_store::StoreError;
use tollgate_store::identity_changes::{ChangesConnection, RECENT_MAX};

/// Two readings begin within [`super::freshness::UNFOLLOWED`], with 250 ms for the second to come back.
const EVERY: Duration = Duration::from_millis(500);

/// How far back a reading looks; a transaction that changes a key is over sooner.
const WINDOW: Duration = Duration::from_secs(10);

/// A reading that takes longer is given up with its connection: it may be dead without saying so.
const READING_MAX: Duration = Duration::from_secs(1);

const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Follows until it is dropped.
pub(super) async fn follow(shared: Arc<Shared>, listen: bool) {
    let mut backoff = BACKOFF_FIRST;
    loop {
        let mut followed_once = false;
        let Err(error) = follow_connection(&shared, listen, &mut followed_once).await;
        if followed_once {
            backoff = BACKOFF_FIRST;
        }
        metrics::counter!("tollgate_identity_follower_lost_total").increment(1);
        tracing::warn!(%error, ?backoff, "not following changes of keys; asking the database for each key instead");
        sleep(backoff).await;
        backoff = backoff.saturating_mul(2).min(BACKOFF_MAX);
    }
}

async fn follow_connection(
    shared: &Shared,
    listen: bool,
    followed_once: &mut bool,
) -> Result<std::convert::Infallible, StoreError> {
    let freshness = &shared.cache.freshness;
    let mut connection = ChangesConnection::open(&shared.store, listen).await?;
    let mut seen = HashSet::new();
    loop {
        let (began, next) = (freshness.now(), Instant::now() + EVERY);
        let too_slow = |_| StoreError::Unavailable("reading the changes took too long".to_owned());
        let changes = timeout(READING_MAX, connection.recent(WINDOW)).await.map_err(too_slow)??;
        let all_seen = i64::try_from(changes.len()).is_ok_and(|count| count < RECENT_MAX);
        // What changed in a gap longer than the window is not in it any more.
        if !all_seen || freshness.last_followed().until(began) > WINDOW / 2 {
            freshness.mark_all();
        }
        changes.iter().filter(|change| !seen.contains(&change.id)).for_each(|change| freshness.mark(change.user));
        seen = changes.iter().map(|change| change.id).collect();
        freshness.followed(began);
        *followed_once = true;
        while let Ok(notified) = timeout_at(next, connection.notified()).await {
            freshness.mark(notified?);
        }
    }
}
