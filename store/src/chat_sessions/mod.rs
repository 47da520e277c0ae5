//! Chat sessions: tables `chat_sessions`, `chat_messages`, `chat_search` (the words of titles and messages) and `chat_totals`
//! (a user's sums).
//!
//! Every statement that changes messages changes the sums of their session and user with it, session first: no page sums
//! history. A session that its user has deleted stays in the tables and is found by none of these functions.

mod messages;
mod search;
mod sessions;
mod turns;
mod words;

pub use messages::{
    CONTENT_BYTES_MAX, MessageRow, Messages, NewMessage, Place, Role, Slice, Writing, append, newest, shortened, storable,
};
pub use search::search;
pub use sessions::{NewSession, SessionRow, Totals, change, create, delete, find, list, totals};
pub use turns::{TurnLock, TurnLocks};
pub use words::Tsvector;
