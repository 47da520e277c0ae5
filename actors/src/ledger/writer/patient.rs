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
/// When one goes because its time has come, those go along whose time comes this soon: one commit for all of them.
const COMPANY: Duration = Duration::from_millis(5);

/// The holds, in the order of arrival.
#[derive(Debug, Default)]
pub struct Patient {
    holds: HashMap<HoldId, Envelope>,
    /// Also of those that have gone before their time.
    due: VecDeque<(Instant, HoldId)>,
    /// Empty between two rounds; kept for its room.
    unsorted: Vec<Envelope>,
}

impl Patient {
    /// Takes what can wait out of what has arrived, and adds what is waited for by now, and of what has waited long enough as much as
    /// a batch of `batch_max` has room for.
    pub fn sort(&mut self, arrived: &mut Vec<Envelope>, batch_max: usize) {
        let now = Instant::now();
        let Self { holds, due, unsorted } = self;
        std::mem::swap(arrived, unsorted);
        for envelope in unsorted.drain(..) {
            match envelope.command {
                Command::Hold { terms, .. } if envelope.patient && !holds.contains_key(&terms.hold) => {
                    due.push_back((now + PATIENCE, terms.hold));
                    holds.insert(terms.hold, envelope);
                    continue;
                }
                Command::Hurry(hold) => {
                    arrived.extend(holds.remove(&hold));
                    continue;
                }
                Command::Close { terms, closing: Closing::Settle { upon: Upon::PendingHold, .. } } => {
                    arrived.extend(holds.remove(&terms.hold));
                }
                _ => {}
            }
            arrived.push(envelope);
        }
        if self.due().is_some_and(|due| due <= now) {
            self.go(now + COMPANY, arrived, batch_max);
        }
    }

    /// When there is something to write though nothing arrives.
    pub fn due(&self) -> Option<Instant> {
        self.due.front().map(|(due, _)| *due)
    }

    /// The next ones, whether or not they are due: nothing will arrive any more.
    pub fn rest(&mut self, batch_max: usize) -> Vec<Envelope> {
        let mut rest = Vec::new();
        self.go(Instant::now() + PATIENCE, &mut rest, batch_max);
        rest
    }

    /// Lets those go that are due by then, but for whose caller has left: nobody needs that hold.
    fn go(&mut self, by: Instant, going: &mut Vec<Envelope>, batch_max: usize) {
        while going.len() < batch_max
            && let Some((_, hold)) = self.due.pop_front_if(|(due, _)| *due <= by)
        {
            going.extend(self.holds.remove(&hold).filter(|envelope| !envelope.reply.is_closed()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::command::Terms;
    use crate::ledger::messages::{Asset, UserAccounts};
    use tokio::sync::oneshot;
    use tokio::time::{advance, sleep_until};
    use tollgate_domain::{AccountId, KeyId, UserId};

    fn hold(id: u128, reply: oneshot::Sender<super::super::Outcome>) -> Envelope {
        let accounts = UserAccounts { user: UserId(1), asset: Asset::Usd, credits: AccountId(1), debt: AccountId(2) };
        let lifetime = Duration::from_secs(120);
        let hold = HoldId(uuid::Uuid::from_u128(id));
        let terms = Terms { hold, accounts, key: KeyId(1), budget: None, asked: 1, amount: 1, lifetime };
        Envelope { command: Command::Hold { terms, least: 1 }, reply, place: None, patient: true, in_line: None, home: None }
    }

    // Mutants, each red: no company; the company of all who wait.
    #[tokio::test(start_paused = true)]
    async fn with_a_hold_whose_time_has_come_go_those_whose_time_is_near() {
        let (mut patient, mut round) = (Patient::default(), Vec::new());
        let mut callers = Vec::new();
        for id in 0..8 {
            let (reply, caller) = oneshot::channel();
            callers.push(caller);
            round.push(hold(id, reply));
            patient.sort(&mut round, 100);
            assert!(round.is_empty(), "nobody waits for it yet");
            advance(Duration::from_millis(1)).await;
        }
        sleep_until(patient.due().expect("the first one's time")).await;
        patient.sort(&mut round, 100);
        assert_eq!(round.len(), 6, "the first, and those asked for within five milliseconds after it");
        round.clear();
        sleep_until(patient.due().expect("the seventh's time")).await;
        patient.sort(&mut round, 100);
        assert_eq!((round.len(), patient.due()), (2, None));
    }
}
