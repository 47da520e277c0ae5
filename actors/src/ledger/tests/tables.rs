//! The ledger's tables in memory, changed by batches as `batch.sql` and `settle.sql` change the real ones.

use super::super::messages::{Asset, UserAccounts};
use super::{BUDGET, budget_of_user};
use std::collections::{BTreeMap, HashMap};
use tollgate_store::ledger::{
    AccountRow, Batch, HoldRow, HoldState, House, NewHold, OperationRow, Transfer, Truth, Usage, WriteError,
};
use uuid::Uuid;

#[derive(Clone, Debug, Default)]
pub struct Tables {
    pub accounts: BTreeMap<i64, AccountRow>,
    pub holds: HashMap<Uuid, HoldRow>,
    /// Which slot opened the hold.
    pub slots: HashMap<Uuid, i32>,
    pub operations: HashMap<Uuid, OperationRow>,
    pub transfers: Vec<Transfer>,
    pub usage: Vec<Usage>,
    /// The last link of each slot's chain.
    pub links: HashMap<i32, i64>,
    users: Vec<UserAccounts>,
}

impl Tables {
    pub fn with_users(users: &[UserAccounts]) -> Self {
        let mut tables = Self { users: users.to_vec(), ..Self::default() };
        users.iter().flat_map(|user| [user.credits.0, user.debt.0]).for_each(|id| tables.add_account(id));
        for user in users {
            let id = budget_of_user(user.user.0).0;
            tables.accounts.insert(id, AccountRow { id, posted: BUDGET, held: 0 });
        }
        tables
    }

    /// The slot's house accounts, made on first use.
    pub fn house(&mut self, slot: i32) -> House {
        let kinds = ["revenue", "grants", "clearing", "refunds"];
        let names = kinds.iter().flat_map(|kind| [Asset::Usd, Asset::Tokens].map(|asset| (*kind, asset.as_str())));
        let first = 10_000 * i64::from(slot);
        (first..)
            .zip(names)
            .map(|(id, (kind, asset))| {
                self.add_account(id);
                ((kind.to_owned(), asset.to_owned()), self.accounts[&id])
            })
            .collect()
    }

    fn add_account(&mut self, id: i64) {
        self.accounts.entry(id).or_insert(AccountRow { id, posted: 0, held: 0 });
    }

    pub fn balances(&self, ids: &[i64]) -> Vec<AccountRow> {
        ids.iter().filter_map(|id| self.accounts.get(id).copied()).collect()
    }

    pub fn truth(&self, accounts: &[i64], holds: &[Uuid], operations: &[Uuid]) -> Truth {
        Truth {
            accounts: self.balances(accounts),
            holds: holds.iter().filter_map(|id| self.holds.get(id).copied()).collect(),
            operations: operations.iter().filter_map(|id| self.operations.get(id).cloned()).collect(),
        }
    }

    /// Writes the batch as the next link after `head` in the slot's chain, or nothing at all.
    pub fn write(&mut self, batch: &Batch, slot: i32, head: i64) -> Result<(), WriteError> {
        let believed = |account: &AccountRow| self.accounts.get(&account.id) == Some(account);
        let as_closed = |hold: &tollgate_store::ledger::ClosedHold| {
            let row = self.holds.get(&hold.id);
            row.is_some_and(|row| row.amount == hold.amount && row.state == hold.from.code())
        };
        let fits = batch.accounts.iter().all(|change| believed(&change.before))
            && batch.opened.iter().all(|hold| !self.holds.contains_key(&hold.id))
            && batch.closed.iter().all(as_closed)
            && batch.operations.iter().all(|operation| !self.operations.contains_key(&operation.id))
            && (!batch.has_history() || self.link(slot) == head);
        if !fits {
            return Err(WriteError::Stale);
        }
        self.put(batch, slot);
        self.assert_lawful();
        Ok(())
    }

    pub fn link(&self, slot: i32) -> i64 {
        self.links.get(&slot).copied().unwrap_or(0)
    }

    fn put(&mut self, batch: &Batch, slot: i32) {
        for change in &batch.accounts {
            let row = self.accounts.get_mut(&change.before.id).expect("checked");
            row.posted += change.posted_delta;
            row.held += change.held_delta;
        }
        for hold in &batch.opened {
            let NewHold { id, account_id, budget_account_id, asked, amount, state, charged, debt, .. } = *hold;
            let row = HoldRow { id, account_id, budget_account_id, asked, amount, state: state.code(), charged, debt };
            assert!(self.holds.insert(id, row).is_none(), "hold {id} is opened twice in one batch");
            self.slots.insert(id, slot);
        }
        for hold in &batch.closed {
            let row = self.holds.get_mut(&hold.id).expect("checked");
            assert_eq!(row.state, hold.from.code(), "hold {} is closed twice in one batch", hold.id);
            *row = HoldRow { state: hold.to.code(), charged: hold.charged, debt: hold.debt, ..*row };
        }
        for operation in &batch.operations {
            let twice = self.operations.insert(operation.id, operation.clone());
            assert!(twice.is_none(), "operation {} is written twice in one batch", operation.id);
        }
        self.transfers.extend(batch.transfers.iter().cloned());
        self.usage.extend(batch.usage.iter().cloned());
        if batch.has_history() {
            *self.links.entry(slot).or_default() += 1;
        }
    }

    pub fn open_holds(&self) -> impl Iterator<Item = &HoldRow> {
        self.holds.values().filter(|hold| hold.state == HoldState::Open.code())
    }

    /// What `ledger verify` and the tables' CHECKs ask for.
    pub fn assert_lawful(&self) {
        let mut posted: BTreeMap<i64, i64> = self.accounts.keys().map(|id| (*id, 0)).collect();
        for transfer in &self.transfers {
            assert!(transfer.amount > 0, "{transfer:?}");
            *posted.get_mut(&transfer.debit_account).expect("a debit account") -= transfer.amount;
            *posted.get_mut(&transfer.credit_account).expect("a credit account") += transfer.amount;
        }
        // What is left of a budget is no money: it begins with its limit, and each call takes its cost from it.
        for user in &self.users {
            posted.insert(budget_of_user(user.user.0).0, BUDGET);
        }
        for hold in self.holds.values() {
            if let (Some(budget), Some(charged)) = (hold.budget_account_id, hold.charged) {
                *posted.get_mut(&budget).expect("a budget") -= charged;
            }
        }
        let mut held: HashMap<i64, i64> = HashMap::new();
        for hold in self.open_holds() {
            for id in [Some(hold.account_id), hold.budget_account_id].into_iter().flatten() {
                *held.entry(id).or_default() += hold.amount;
            }
        }
        for row in self.accounts.values() {
            assert_eq!(row.posted, posted[&row.id], "account {} = Σ credits - Σ debits", row.id);
            assert_eq!(row.held, held.get(&row.id).copied().unwrap_or(0), "account {}: held = Σ open holds", row.id);
        }
        let is_budget = |id: i64| self.users.iter().any(|user| budget_of_user(user.user.0).0 == id);
        let money = self.accounts.values().filter(|row| !is_budget(row.id));
        assert_eq!(money.map(|row| row.posted).sum::<i64>(), 0, "double entry");
        for user in &self.users {
            let credits = self.accounts[&user.credits.0];
            assert!(credits.posted >= credits.held, "overspent: {credits:?}");
            assert!(self.accounts[&user.debt.0].posted <= 0, "a debt is owed");
        }
        self.assert_each_id_has_one_effect();
    }

    fn assert_each_id_has_one_effect(&self) {
        let mut used: HashMap<Uuid, Vec<i64>> = HashMap::new();
        self.usage.iter().for_each(|usage| used.entry(usage.hold_id).or_default().push(usage.cost));
        let mut moved: HashMap<Uuid, i64> = HashMap::new();
        let mut credited: HashMap<Uuid, i32> = HashMap::new();
        for transfer in &self.transfers {
            match transfer.kind.as_ref() {
                "api_usage" | "debt" => *moved.entry(transfer.reference).or_default() += transfer.amount,
                "debt_repayment" => {}
                _ => *credited.entry(transfer.reference).or_default() += 1,
            }
        }
        let settled = self.holds.values().filter(|hold| hold.state == HoldState::Settled.code());
        for hold in settled {
            let charged = hold.charged.expect("a settled hold has a charge");
            assert_eq!(used.remove(&hold.id), Some(vec![charged]), "one usage record for {}", hold.id);
            assert_eq!(moved.remove(&hold.id).unwrap_or(0), charged, "the transfers of {}", hold.id);
        }
        assert!(used.is_empty() && moved.is_empty(), "usage without a settled hold: {used:?} {moved:?}");
        assert_eq!(credited.len(), self.operations.len(), "one transfer for each operation");
        assert!(credited.values().all(|count| *count == 1), "{credited:?}");
    }
}
