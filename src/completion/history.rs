//! A call that belongs to a chat session (`session_id`): what was said there goes before the request's messages, and what is
//! said now is added behind it.
//!
//! Calls of one session go one after the other, from the reading of the history to the writing of the two messages; the hold is
//! made of the longer request. A call that is charged leaves the last user message and what came of the answer, also of one that broke
//! or whose client left; one that is not charged leaves nothing.

use super::admission::ReadOrder;
use super::estimate;
use super::text::Transcript;
use crate::http::error::ApiError;
use crate::startup::Services;
use serde::Serialize;
use std::time::{Duration, Instant};
use tollgate_actors::sessions::{MessageRow, Role, Said, Saving, Slice, Turn};
use tollgate_domain::{HoldId, SessionId};
use tollgate_store::chat_sessions::{shortened, storable};

/// However long the model's context is, so much of a session goes with a call: each call pays for it anew.
const HISTORY_MESSAGES_MAX: i64 = 1_000;
const HISTORY_BYTES_MAX: usize = 256 << 10;
/// How long a call waits for those before it in its session: to its client it is the silence of a slow provider.
pub(super) const TURN_PATIENCE: Duration = Duration::from_secs(120);

/// The turn that a call has in its session.
pub(super) struct SessionTurn {
    turn: Turn,
    /// The last user message of the request.
    asked: Option<String>,
    /// What came of the answer.
    pub said: Transcript,
}

/// A message of the history, as a model wants it.
#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
}

/// Waits for the session's turn and puts its history before the request's messages. `None`: the call belongs to no session of the
/// caller's.
///
/// # Errors
/// 429 when too many calls wait for the session, 503 when the database is away.
pub(super) async fn join(
    services: &Services,
    session: SessionId,
    read: &mut ReadOrder,
) -> Result<Option<Box<SessionTurn>>, ApiError> {
    let room = estimate::history_room_bytes(&read.request, &read.offers).min(HISTORY_BYTES_MAX);
    let slice = Slice { before: None, messages_max: HISTORY_MESSAGES_MAX, bytes_max: i64::try_from(room).unwrap_or(i64::MAX) };
    let begun = services.actors.sessions.begin(read.caller.user, session, slice, TURN_PATIENCE).await?;
    let Some(mut turn) = begun else { return Ok(None) };
    let asked = read.request.last_user_text();
    if let Some(history) = rendered(&std::mem::take(&mut turn.history), room) {
        read.request.insert_history(&history);
    }
    // The call's own time begins now.
    read.started = Instant::now();
    Ok(Some(Box::new(SessionTurn { turn, asked, said: Transcript::default() })))
}

/// The newest messages that fit, as JSON objects with commas between; the oldest go first, and an answer without its
/// question with them.
fn rendered(messages: &[MessageRow], bytes_max: usize) -> Option<String> {
    let mut kept: Vec<(&str, String)> = Vec::new();
    let mut bytes = 0;
    // Some models refuse a message that says nothing.
    for row in messages.iter().rev().filter(|row| !row.content.is_empty()) {
        let json = serde_json::to_string(&Message { role: &row.role, content: &row.content }).ok()?;
        bytes += json.len() + 1;
        if bytes > bytes_max {
            break;
        }
        kept.push((&row.role, json));
    }
    while kept.last().is_some_and(|(role, _)| *role != Role::User.as_str()) {
        kept.pop();
    }
    let joined = kept.into_iter().rev().map(|(_, json)| json).collect::<Vec<_>>().join(",");
    (!joined.is_empty()).then_some(joined)
}

impl SessionTurn {
    /// Writes the turn's messages behind the call's back: a user's counts no tokens, the assistant's all that were charged.
    #[must_use]
    pub fn save(self, hold: HoldId, model: &str, tokens: i64) -> Saving {
        let asked = self.asked.map(|text| Said { role: Role::User, content: storable(&text), tokens: 0 });
        let said = Said { role: Role::Assistant, content: storable(self.said.as_str()), tokens };
        self.turn.save(hold.0, shortened(model).to_owned(), asked.into_iter().chain([said]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn session(said: &[(&str, &str)]) -> Vec<MessageRow> {
        let row = |(id, (role, content)): (i64, &(&str, &str))| MessageRow {
            id,
            session_id: 1,
            role: (*role).to_owned(),
            content: (*content).to_owned(),
            model: None,
            tokens: 0,
            created_at: DateTime::UNIX_EPOCH,
        };
        (1..).zip(said).map(row).collect()
    }

    fn contents(rendered: Option<String>) -> Vec<String> {
        let list: Vec<serde_json::Value> = serde_json::from_str(&format!("[{}]", rendered.unwrap_or_default())).expect("JSON");
        list.iter().map(|message| message["content"].as_str().expect("text").to_owned()).collect()
    }

    #[test]
    fn the_oldest_go_first_and_an_answer_without_its_question_with_them() {
        let said = session(&[("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d\"\n")]);
        let all = rendered(&said, 1_000);
        let bytes = all.as_ref().expect("all fit").len() + 1;
        assert_eq!(contents(all), ["a", "b", "c", "d\"\n"]);
        // Mutant: without the while loop the answer `b` stays.
        assert_eq!(contents(rendered(&said, bytes - 1)), ["c", "d\"\n"]);
        assert_eq!(contents(rendered(&said, 40)), Vec::<String>::new());
        assert_eq!(rendered(&[], 1_000), None);
    }

    #[test]
    fn who_said_nothing_is_left_out() {
        assert_eq!(contents(rendered(&session(&[("user", "a"), ("assistant", ""), ("user", "b")]), 1_000)), ["a", "b"]);
    }
}
