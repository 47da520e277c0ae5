//! Holds that nobody waits for. Whoever has an early permit is busy with the call, so its hold need not be written at once: it goes
//! when its time has come, or somebody waits for it, or with its settle when that is there first. Then both are one row, and
//! settles don't stand behind holds.

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
    /// Takes what can wait out of what has arrived, and adds what is waited for by now, and of what has waited long enough as much as
    /// a batch of `batch_max` has room for.
    pub fn sort(&mut self, arrived: &mut Vec<Envelope>, batch_max: usize) {
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
        while arrived.len() < batch_max
            && let Some((_, hold)) = self.due.pop_front_if(|(due, _)| *due <= now)
        {
            arrived.extend(self.leave(hold));
        }
    }

    /// When there is something to write though nothing arrives.
    pub fn due(&self) -> Option<Instant> {
        self.due.front().map(|(due, _)| *due)
    }

    /// The next ones, whether or not they are due: nothing will arrive any more.
    pub fn rest(&mut self, batch_max: usize) -> Vec<Envelope> {
        let mut rest = Vec::new();
        while rest.len() < batch_max
            && let Some((_, hold)) = self.due.pop_front()
        {
            rest.extend(self.leave(hold));
        }
        rest
    }

    /// Whoever has left needs no hold.
    fn leave(&mut self, hold: HoldId) -> Option<Envelope> {
        self.holds.remove(&hold).filter(|envelope| !envelope.reply.is_closed())
    }
}
