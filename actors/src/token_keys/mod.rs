//! Token keys: the public keys of an identity provider, as they are known here.
//!
//! - **Owns** when the provider is asked: every [`REFRESH_EVERY`], and for a key that is not known, but never more than one
//!   request at a time and one a [`WINDOW`]: tokens with made-up key ids cost the provider nothing. It publishes the set, so a
//!   token of a known key is verified without a message.
//! - **A provider that is away** does not shut anybody out: known keys work for [`STALE_MAX`]. Then nobody can be sure that they
//!   still do, and tokens are refused for the time being.
//! - **Bounds**: [`CAPACITY`] questions wait for an answer, each for [`FETCH_LIMIT`] at most; the set's size is the source's to
//!   bound.
//! - **A restart** of the actor forgets when the provider was asked last: one request more. The set is outside of it.

mod actor;

#[cfg(test)]
mod tests;

pub use actor::TokenKeysActor;

use crate::ports::{Clock, KeySource, TokenKey};
use crate::runtime::{self, AskError, Handle, Supervision};
use actix::Message;
use actix_rt::ArbiterHandle;
use arc_swap::ArcSwapOption;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The set is asked for anew when it is this old: a key that the provider has withdrawn is trusted no longer.
pub const REFRESH_EVERY: TimeDelta = TimeDelta::minutes(10);
/// After an answer the provider is not asked again for so long, whatever keys tokens name.
pub const WINDOW: TimeDelta = TimeDelta::seconds(30);
/// After a failure it is tried again so soon.
pub const RETRY_AFTER: TimeDelta = TimeDelta::seconds(5);
/// Keys that could not be refreshed for so long are not believed any more.
pub const STALE_MAX: TimeDelta = TimeDelta::hours(24);
/// How long an answer is waited for, whatever the source's own time-outs say.
pub const FETCH_LIMIT: Duration = Duration::from_secs(10);
/// Only tokens of unknown keys ask; more of them than this at a time are made up.
pub const CAPACITY: usize = 256;

/// Why there is no such key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenKeyError {
    /// The provider has none of that id, as of [`WINDOW`] ago at most.
    #[error("no key of that id")]
    Unknown,
    /// The provider can't be asked, or too many ask: nobody knows.
    #[error("the provider's keys are not available")]
    Unavailable,
}

impl From<AskError> for TokenKeyError {
    fn from(_: AskError) -> Self {
        Self::Unavailable
    }
}

/// The keys of one answer.
struct KeySet {
    keys: HashMap<String, TokenKey>,
    fetched_at: DateTime<Utc>,
}

/// What the handle and the actor share.
struct Shared {
    source: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    /// Where the provider is asked.
    io: tokio::runtime::Handle,
    published: ArcSwapOption<KeySet>,
}

impl Shared {
    /// The set, while it may be believed.
    fn current(&self) -> Option<Arc<KeySet>> {
        let now = self.clock.now();
        // Mutant: without the filter `keys_that_nobody_could_refresh_for_a_day_are_not_believed` is red.
        self.published.load_full().filter(|set| now - set.fetched_at < STALE_MAX)
    }

    fn find(&self, id: &str) -> Result<TokenKey, TokenKeyError> {
        let set = self.current().ok_or(TokenKeyError::Unavailable)?;
        set.keys.get(id).cloned().ok_or(TokenKeyError::Unknown)
    }
}

/// Find a key that is not in the set, by asking the provider if its turn has come.
#[derive(Message)]
#[rtype(result = "Result<TokenKey, TokenKeyError>")]
struct FindTokenKey {
    id: String,
}

/// What the keys are kept with.
pub struct TokenKeysDeps {
    pub source: Arc<dyn KeySource>,
    pub clock: Arc<dyn Clock>,
    pub io: tokio::runtime::Handle,
}

/// The way to the keys.
#[derive(Clone)]
pub struct TokenKeys {
    shared: Arc<Shared>,
    handle: Handle<TokenKeysActor>,
}

/// Starts keeping them; the provider is asked at once, behind the caller's back.
#[must_use]
pub fn start(arbiter: &ArbiterHandle, supervision: &Supervision, deps: TokenKeysDeps) -> TokenKeys {
    let TokenKeysDeps { source, clock, io } = deps;
    let shared = Arc::new(Shared { source, clock, io, published: ArcSwapOption::empty() });
    let of_actor = Arc::clone(&shared);
    let handle = runtime::start(arbiter, "token keys", CAPACITY, supervision, |_| TokenKeysActor::new(of_actor));
    TokenKeys { shared, handle }
}

impl TokenKeys {
    /// The key of that id: from memory when it is known, else of the provider.
    ///
    /// # Errors
    /// `Unknown` when the provider has none, `Unavailable` when that can't be told.
    pub async fn find(&self, id: &str) -> Result<TokenKey, TokenKeyError> {
        match self.shared.find(id) {
            Ok(key) => Ok(key),
            Err(_) => self.handle.ask_flat(FindTokenKey { id: id.to_owned() }).await,
        }
    }

    /// The actor's own handle: for the drain, and for faults put in by tests.
    #[must_use]
    pub const fn handle(&self) -> &Handle<TokenKeysActor> {
        &self.handle
    }
}
