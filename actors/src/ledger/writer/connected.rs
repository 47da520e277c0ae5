//! The writer while it has a connection.

use super::super::book::{Book, HouseIds, accounts_of};
use super::super::command::{Closing, Command, Outcome, Terms};
use super::super::handle::{Desk, KNOWN_ACCOUNTS_MAX};
use super::super::messages::{Asset, UserAccounts};
use super::database::{Database, Line};
use super::{Trouble, house_ids, now};
use crate::ports::Clock;
use chrono::{DateTime, Utc};
use moka::sync::Cache;
use std::collections::BTreeSet;
use std::time::Duration;
use tollgate_domain::{AccountId, HoldId, KeyId, Nanos, UserId};
use tollgate_store::StoreError;
use tollgate_store::ledger::{AccountRow, Anchor, DueHold};
use uuid::Uuid;

/// A dead process's holds that are released in one batch.
const ORPHANS_AT_ONCE: i64 = 1_000;

/// The connection and what is believed.
pub struct Connected<L> {
    writer: L,
    house: HouseIds,
    /// Balances as this writer, or its last look, left them. Checked in every statement.
    believed: Cache<i64, AccountRow>,
    /// The slot was another process's before.
    taken_over: bool,
}

impl<L: Line> Connected<L> {
    pub async fn open(database: &impl Database<Line = L>, instance: &str, place: Option<(i32, i64)>) -> Result<Self, StoreError> {
        let (writer, house, taken_over) = database.claim(instance, place).await?;
        let believed = Cache::new(KNOWN_ACCOUNTS_MAX);
        house.values().for_each(|row| believed.insert(row.id, *row));
        Ok(Self { writer, house: house_ids(&house), believed, taken_over })
    }

    pub fn place(&self) -> (i32, i64) {
        self.writer.place()
    }

    pub fn anchor(&self) -> Anchor {
        Anchor { slot: self.place().0, head: self.writer.head() }
    }

    pub async fn heartbeat(&mut self) -> Result<bool, Trouble> {
        Ok(self.writer.heartbeat().await?)
    }

    /// Decides on beliefs, and writes if they hold. `decided` are the answers, from when they are sent: true once this succeeds.
    pub async fn write_batch(
        &mut self,
        commands: &[&Command],
        at: DateTime<Utc>,
        desk: &Desk,
        decided: &mut Vec<Outcome>,
    ) -> Result<(), Trouble> {
        let accounts = self.believe(commands).await?;
        let (batch, after) = {
            let mut book = Book::new(&self.house, at, accounts, [], []);
            for command in commands {
                if let Command::Close { terms, closing } = command
                    && closing.knows_hold()
                {
                    book.believe_open(terms);
                }
            }
            *decided = commands.iter().map(|command| book.decide(command)).collect();
            book.close()
        };
        self.writer.write(&batch, at).await?;
        self.remember(&after, desk);
        Ok(())
    }

    /// Reads the truth under lock, decides on it, and writes that. `decided` as of [`write_batch`](Self::write_batch).
    pub async fn write_exactly(
        &mut self,
        commands: &[&Command],
        at: DateTime<Utc>,
        desk: &Desk,
        decided: &mut Vec<Outcome>,
    ) -> Result<(), Trouble> {
        metrics::counter!("tollgate_ledger_exact_batches_total").increment(1);
        let account_ids = ids(commands, &self.house);
        let hold_ids: Vec<Uuid> = commands.iter().filter_map(|command| hold_of(command)).collect();
        let operation_ids: Vec<Uuid> = commands
            .iter()
            .filter_map(|command| if let Command::Credit(credit) = command { Some(credit.id.0) } else { None })
            .collect();
        let house = &self.house;
        let written = self.writer.write_exactly(&account_ids, &hold_ids, &operation_ids, at, |truth| {
            let mut book = Book::new(house, at, truth.accounts, truth.holds, truth.operations);
            *decided = commands.iter().map(|command| book.decide(command)).collect();
            book.close()
        });
        let after = match written.await {
            Ok(after) => after,
            Err(error) => {
                account_ids.iter().for_each(|id| self.believed.invalidate(id));
                return Err(error.into());
            }
        };
        self.remember(&after, desk);
        Ok(())
    }

    /// Releases what a dead process of this slot has left open; what runs in this one stays.
    pub async fn release_orphans(
        &mut self,
        database: &impl Database<Line = L>,
        clock: &dyn Clock,
        desk: &Desk,
    ) -> Result<(), Trouble> {
        if !self.taken_over {
            return Ok(());
        }
        loop {
            let at = now(clock);
            let due = database.due(at, self.place().0, ORPHANS_AT_ONCE).await?;
            let orphans = due.iter().filter(|hold| !desk.live.contains(HoldId(hold.id)));
            let releases: Vec<Command> = orphans.map(|hold| closing_of(hold, Closing::Release)).collect();
            if releases.is_empty() {
                return Ok(());
            }
            tracing::info!(holds = releases.len(), "a dead process's holds are released");
            self.write_exactly(&releases.iter().collect::<Vec<_>>(), at, desk, &mut Vec::new()).await?;
        }
    }

    /// The believed balances of the batch's accounts; those not seen lately are looked up.
    async fn believe(&mut self, commands: &[&Command]) -> Result<Vec<AccountRow>, Trouble> {
        let ids = ids(commands, &self.house);
        let mut rows: Vec<AccountRow> = ids.iter().filter_map(|id| self.believed.get(id)).collect();
        if rows.len() < ids.len() {
            let unknown: Vec<i64> = ids.iter().copied().filter(|id| rows.iter().all(|row| row.id != *id)).collect();
            let mut looked_up = self.writer.balances(&unknown).await?;
            rows.append(&mut looked_up);
        }
        Ok(rows)
    }

    fn remember(&self, after: &[AccountRow], desk: &Desk) {
        for row in after {
            self.believed.insert(row.id, *row);
            desk.known.insert(AccountId(row.id), Nanos(row.posted - row.held));
        }
    }
}

/// The accounts that the batch touches, sorted, each once.
fn ids(commands: &[&Command], house: &HouseIds) -> Vec<i64> {
    let ids: BTreeSet<i64> = commands.iter().flat_map(|command| accounts_of(command, house)).collect();
    ids.into_iter().collect()
}

const fn hold_of(command: &Command) -> Option<Uuid> {
    match command {
        Command::Hold { terms, .. } | Command::Close { terms, .. } => Some(terms.hold.0),
        _ => None,
    }
}

/// A closing for a hold that has no ticket any more.
pub fn closing_of(hold: &DueHold, closing: Closing) -> Command {
    let accounts = UserAccounts {
        user: UserId(hold.user_id),
        asset: if hold.asset == Asset::Tokens.as_str() { Asset::Tokens } else { Asset::Usd },
        credits: AccountId(hold.account),
        debt: AccountId(hold.debt_account),
    };
    let (asked, amount) = (hold.asked, hold.amount);
    let budget = hold.budget_account.map(AccountId);
    let terms = Terms { hold: HoldId(hold.id), accounts, key: KeyId(0), budget, asked, amount, lifetime: Duration::ZERO };
    Command::Close { terms, closing }
}
