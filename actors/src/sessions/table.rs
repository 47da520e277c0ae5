//! Where sessions are kept: the store, outside tests.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tollgate_domain::{SessionId, UserId};
use tollgate_store::chat_sessions::{self, MessageRow, NewMessage, Slice, TurnLock, TurnLocks, Writing};
use tollgate_store::{Store, StoreError};

/// The tables, as far as turns need them.
pub trait SessionTable: Send + Sync {
    /// Takes the session's turn among all replicas, if it is free. Not to be dropped half way.
    fn lock(&self, user: UserId, session: SessionId) -> BoxFuture<'_, Result<TurnLock, StoreError>>;
    fn unlock(&self, session: SessionId) -> BoxFuture<'_, ()>;
    /// The newest messages, oldest first.
    fn newest(&self, session: SessionId, slice: Slice) -> BoxFuture<'_, Result<Vec<MessageRow>, StoreError>>;
    /// Writes a turn's messages; once, however often it is asked for under one turn's id. Nothing, if the session is gone.
    fn append<'a>(&'a self, writing: Writing, messages: &'a [NewMessage<'a>]) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// The store, and this replica's locks in it.
pub struct StoredSessions {
    store: Store,
    locks: TurnLocks,
}

impl StoredSessions {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { locks: TurnLocks::new(store.clone()), store }
    }
}

impl SessionTable for StoredSessions {
    fn lock(&self, user: UserId, session: SessionId) -> BoxFuture<'_, Result<TurnLock, StoreError>> {
        self.locks.take(user, session).boxed()
    }

    fn unlock(&self, session: SessionId) -> BoxFuture<'_, ()> {
        self.locks.give_back(session).boxed()
    }

    fn newest(&self, session: SessionId, slice: Slice) -> BoxFuture<'_, Result<Vec<MessageRow>, StoreError>> {
        async move { Ok(chat_sessions::newest(&self.store, session, slice).await?.rows) }.boxed()
    }

    fn append<'a>(&'a self, writing: Writing, messages: &'a [NewMessage<'a>]) -> BoxFuture<'a, Result<(), StoreError>> {
        async move { chat_sessions::append(&self.store, writing, messages).await.map(drop) }.boxed()
    }
}
