//! What is owed while the database is away: settles in a journal on this machine's disk, releases in memory.

use super::super::command::{Closing, Command, Outcome, Terms, Upon};
use super::super::handle::Desk;
use super::super::messages::{CallRecord, LedgerError, Settled};
use super::BATCH_MAX;
use crate::journal::Journal;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use tollgate_domain::Nanos;
use tollgate_store::ledger::Anchor;

/// About a hundred thousand settles. The holds that may be open bound what can come after the database went away.
const JOURNAL_MAX_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct OwedSettle {
    terms: Terms,
    record: CallRecord,
    /// Its hold may never have been written. Journals of earlier servers do not say it.
    #[serde(default)]
    unheld: bool,
}

/// The journal, and what is in it.
pub struct Owed {
    journal: Journal,
    aside: PathBuf,
    settles: VecDeque<Command>,
    /// In memory only: after a crash the next start releases them anyway.
    releases: VecDeque<Command>,
    /// How much is paid in one go: less while something in it can't be written.
    at_once: usize,
}

impl Owed {
    pub fn open(data_dir: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(data_dir)?;
        let mut journal = Journal::open(&data_dir.join("ledger.journal"), JOURNAL_MAX_BYTES)?;
        let settles: VecDeque<Command> =
            journal.read_all()?.iter().filter_map(|record| serde_json::from_slice(record).ok()).map(command_of).collect();
        if !settles.is_empty() {
            tracing::info!(settles = settles.len(), "settles of an earlier run wait in the journal");
        }
        let aside = data_dir.join("ledger.rejected.jsonl");
        Ok(Self { journal, aside, settles, releases: VecDeque::new(), at_once: BATCH_MAX })
    }

    /// Notes the settle on disk. The answer tells the last known balance. Also without a disk it is owed: bytes of a stream may have
    /// gone out.
    pub fn settle(&mut self, terms: &Terms, record: &CallRecord, desk: &Desk) -> Outcome {
        let owed = OwedSettle { terms: *terms, record: record.clone(), unheld: false };
        let written = self.append(&owed);
        self.settles.push_back(command_of(owed));
        match written {
            Ok(()) => settled(terms, record, Nanos(terms.amount), desk),
            Err(error) => {
                tracing::error!(%error, hold = %terms.hold, "a settle is owed and only in memory");
                Outcome::Failed(LedgerError::Unavailable)
            }
        }
    }

    /// [`settle`](Self::settle) of an answer that is given only if this succeeds, and whose hold may never have been written.
    pub fn settle_unheld(&mut self, terms: &Terms, record: &CallRecord, desk: &Desk) -> Outcome {
        let owed = OwedSettle { terms: *terms, record: record.clone(), unheld: true };
        if let Err(error) = self.append(&owed) {
            tracing::error!(%error, hold = %terms.hold, "a settle can't be noted, and its call is refused");
            return Outcome::Failed(LedgerError::Unavailable);
        }
        self.settles.push_back(command_of(owed));
        settled(terms, record, Nanos::ZERO, desk)
    }

    fn append(&mut self, owed: &OwedSettle) -> std::io::Result<()> {
        metrics::counter!("tollgate_ledger_journaled_total").increment(1);
        serde_json::to_vec(owed).map_err(std::io::Error::other).and_then(|line| self.journal.append(&line))
    }

    pub fn release(&mut self, terms: Terms) {
        self.releases.push_back(Command::Close { terms, closing: Closing::Release });
    }

    /// Keeps a settle that the database refuses, for a person to look at.
    pub fn set_aside(&self, terms: &Terms, record: &CallRecord) {
        let line =
            serde_json::to_string(&OwedSettle { terms: *terms, record: record.clone(), unheld: false }).unwrap_or_default();
        append_line(&self.aside, &line);
    }

    /// What is to be paid next; empty when nothing is owed.
    pub fn next(&self) -> Vec<Command> {
        self.settles.iter().chain(&self.releases).take(self.at_once).cloned().collect()
    }

    /// What came next can't be written together.
    pub fn halve(&mut self) {
        self.at_once = (self.at_once / 2).max(1);
    }

    /// The first `count` are in the database now, or set aside.
    pub fn paid(&mut self, count: usize) {
        let settles = count.min(self.settles.len());
        self.settles.drain(..settles);
        self.releases.drain(..(count - settles).min(self.releases.len()));
        self.at_once = (self.at_once * 2).min(BATCH_MAX);
        if settles > 0 && self.settles.is_empty() {
            // Written twice, it has one effect: the ids are the same.
            if let Err(error) = self.journal.clear() {
                tracing::error!(%error, "the ledger's journal can't be cleared");
            }
        }
    }
}

fn command_of(owed: OwedSettle) -> Command {
    let upon = if owed.unheld { Upon::Answer } else { Upon::Hold };
    Command::Close { terms: owed.terms, closing: Closing::Settle { record: Box::new(owed.record), upon } }
}

/// `reserved`: what of the last known balance is missing for this hold.
fn settled(terms: &Terms, record: &CallRecord, reserved: Nanos, desk: &Desk) -> Outcome {
    let known = desk.known.get(&terms.accounts.credits).unwrap_or_default();
    let charged = record.cost.max(Nanos::ZERO);
    let balance_after = known.saturating_add(reserved).saturating_sub(charged);
    Outcome::Settled(Settled { charged, debt: Nanos::ZERO, balance_after, journaled: true })
}

/// Writes the chain's head down outside the database, in a file and in the log.
pub fn write_anchor(data_dir: &Path, anchor: &Anchor) {
    tracing::info!(target: "tollgate::anchor", %anchor, "ledger anchor");
    append_line(&data_dir.join("ledger.anchors"), &anchor.to_string());
}

fn append_line(path: &Path, line: &str) {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
        tracing::error!(%error, path = %path.display(), "a line could not be written down");
    }
}
