//! Holds that nobody waits for. Whoever has an early permit is busy with the call, so its hold need not be written at once: it goes
//! with the next batch that somebody waits for once its own time is near, and with its settle when that is there first. Then both
//! are one row, and settles don't stand behind holds.

use super::super::command::{Closing, Command, Envelope, Upon};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_domain::HoldId;

/// How long such a hold waits at most. Far below the time that models take to begin an answer.
const PATIENCE: Duration = Duration::from_millis(10);

/// The holds, in the order of arrival.
#[derive(Debug, Default)]
pub struct Patient {
    holds: HashMap<HoldId, Envelope>,
    /// Also of those that have gone before their time.
    due: VecDeque<(Instant, HoldId)>,
}

impl Patient {
    /// Takes what can wait out of what has arrived, and adds what has waited long enough, or is waited for by now.
    pub fn sort(&mut self, arrived: &mut Vec<Envelope>) {
        let now = Instant::now();
        for envelope in std::mem::take(arrived) {
            match envelope.command {
                Command::Hold { terms, .. } if envelope.patient && !self.holds.contains_key(&terms.hold) => {
                    self.due.push_back((now + PATIENCE, terms.hold));
                    self.holds.insert(terms.hold, envelope);
                    continue;
                }
                Command::Hurry(hold) => {
                    arrived.extend(self.holds.remove(&hold));
                    continue;
                }
                Command::Close { terms, closing: Closing::Settle { upon: Upon::PendingHold, .. } } => {
                    arrived.extend(self.holds.remove(&terms.hold));
                }
                _ => {}
            }
            arrived.push(envelope);
        }
        while let Some((_, hold)) = self.due.pop_front_if(|(due, _)| *due <= now) {
            // Whoever has left needs none.
            arrived.extend(self.holds.remove(&hold).filter(|envelope| !envelope.reply.is_closed()));
        }
    }

    /// When there is something to write though nothing arrives.
    pub fn due(&self) -> Option<Instant> {
        self.due.front().map(|(due, _)| *due)
    }

    /// All of them: nothing will arrive any more.
    pub fn leave(&mut self) -> Vec<Envelope> {
        self.due.clear();
        self.holds.drain().map(|(_, envelope)| envelope).collect()
    }
}
