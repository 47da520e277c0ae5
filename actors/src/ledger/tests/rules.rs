//! The book against the model: random operations, in batches of random size, decided on beliefs (right and wrong) and on
//! the truth, as the writer does.

use super::super::book::{Book, HouseIds, accounts_of};
use super::super::command::{Closing, Command, Outcome, Terms, Upon};
use super::super::messages::{Credit, LedgerError, Source};
use super::super::writer::house_ids;
use super::model::{Answer, Model, Op};
use super::tables::Tables;
use super::{accounts_of_user, budget_of_user, for_each_seed, once_in, record_of};
use chrono::{DateTime, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tollgate_domain::{HoldId, KeyId, Nanos, OperationId};
use tollgate_store::ledger::AccountRow;
use uuid::Uuid;

const USERS: i64 = 2;
const SLOT: i32 = 1;

// Mutants, each red: `account.held += amount` dropped in `Book::hold`; `cost.min(..)` without the freed hold in
// `settle`; the refused state not looked at in `hold_again`; `full - repaid` without `repaid` in `credit`; `budget.held -= freed`
// dropped in `settle`; `hold.budget_account_id` left out of `give_back`; `lowered.amount < terms.amount` not asked in
// `hold_to_settle`; `close_hold` that writes a closing also for a hold of its own batch.
#[test]
fn ten_thousand_random_sequences_are_decided_as_the_model_decides_them() {
    for_each_seed("sequences of operations beside the model", 10_000, |_, mut dice| {
        let mut desk = Desk::new();
        for _ in 0..dice.random_range(1..12) {
            let ops: Vec<Op> = (0..dice.random_range(1..8)).map(|_| desk.some_op(&mut dice)).collect();
            desk.serve(&ops, &mut dice);
        }
    });
}

#[test]
fn amounts_at_the_edge_of_the_integers_are_refused_and_change_nothing() {
    let mut desk = Desk::new();
    let huge = i64::MAX;
    assert!(matches!(desk.exactly(Op::Credit { id: 1, user: 0, amount: huge }), Outcome::Credited(_)));
    assert!(matches!(desk.exactly(Op::Credit { id: 2, user: 0, amount: 1 }), Outcome::Failed(LedgerError::Conflict(_))));
    // The source of grants is at its end, too.
    assert!(matches!(desk.exactly(Op::Credit { id: 3, user: 2, amount: 2 }), Outcome::Failed(LedgerError::Conflict(_))));
    let hold = |id, amount| Op::Hold { id, user: 0, amount, least: 0, budgeted: false };
    assert_eq!(desk.exactly(hold(4, huge)), Outcome::Held { granted: huge });
    assert!(matches!(desk.exactly(Op::Settle { id: 4, cost: huge }), Outcome::Settled(_)));
    assert_eq!(desk.exactly(hold(5, 0)), Outcome::Held { granted: 0 });
    assert!(matches!(desk.exactly(Op::Settle { id: 5, cost: 1 }), Outcome::Failed(LedgerError::Conflict(_))));
    desk.tables.assert_lawful();
}

struct Desk {
    model: Model,
    tables: Tables,
    house: HouseIds,
    /// What tickets know: the terms of each hold that was granted, or asked for.
    terms: HashMap<u32, Terms>,
    /// As each hold was first asked for.
    asked: HashMap<u32, Terms>,
    /// Balances as they were at some earlier time.
    stale: Vec<AccountRow>,
}

impl Desk {
    fn new() -> Self {
        let users: Vec<_> = (0..=USERS).map(accounts_of_user).collect();
        let mut tables = Tables::with_users(&users);
        let house = house_ids(&tables.house(SLOT));
        Self { model: Model::default(), tables, house, terms: HashMap::new(), asked: HashMap::new(), stale: Vec::new() }
    }

    /// Few ids and small amounts, so that repetitions, conflicts and refusals are common.
    fn some_op(&self, dice: &mut StdRng) -> Op {
        let (user, amount) = (dice.random_range(0..USERS), dice.random_range(0..20));
        let closed = dice.random_range(0..12);
        // Of a hold that was never granted there is no ticket; it is closed under an id that no one knows.
        let known = if self.terms.contains_key(&closed) { closed } else { closed + 100 };
        match dice.random_range(0..13) {
            0..4 => {
                let (least, budgeted) = (dice.random_range(0..20), once_in(dice, 2));
                Op::Hold { id: dice.random_range(0..12), user, amount, least, budgeted }
            }
            4..7 => Op::Settle { id: known, cost: amount },
            7..8 => Op::GiveBack { id: known },
            8..11 => Op::SettleEarly { id: closed, cost: amount },
            _ => Op::Credit { id: dice.random_range(0..8), user, amount: amount + 1 },
        }
    }

    fn serve(&mut self, ops: &[Op], dice: &mut StdRng) {
        let commands: Vec<Command> = ops.iter().map(|op| self.command_of(*op)).collect();
        let outcomes = self.on_beliefs(&commands, dice).unwrap_or_else(|| self.on_truth(&commands));
        for ((op, command), outcome) in ops.iter().zip(&commands).zip(outcomes) {
            if let (Op::Hold { id, .. }, Command::Hold { terms, .. }, Outcome::Held { granted }) = (op, command, &outcome) {
                self.terms.insert(*id, Terms { amount: *granted, ..*terms });
            }
            assert_eq!(told(op, answer_of(outcome)), told(op, self.model.apply(*op)), "{op:?} of {ops:?}");
        }
        self.assert_as_the_model();
        if once_in(dice, 3) {
            self.stale = self.tables.accounts.values().copied().collect();
        }
    }

    fn exactly(&mut self, op: Op) -> Outcome {
        let command = self.command_of(op);
        self.on_truth(&[command]).remove(0)
    }

    /// As `Connected::write_batch`; `None` when a belief was wrong.
    fn on_beliefs(&mut self, commands: &[Command], dice: &mut StdRng) -> Option<Vec<Outcome>> {
        let ids = account_ids(commands, &self.house);
        let mut accounts = self.tables.balances(&ids);
        if once_in(dice, 4) && !self.stale.is_empty() {
            accounts = self.stale.iter().filter(|row| ids.contains(&row.id)).copied().collect();
        }
        let mut book = Book::new(&self.house, DateTime::<Utc>::UNIX_EPOCH, accounts, [], []);
        for command in commands {
            if let Command::Close { terms, closing } = command
                && closing.knows_hold()
            {
                book.believe_open(terms);
            }
        }
        let outcomes = commands.iter().map(|command| book.decide(command)).collect();
        let (batch, _) = book.close();
        let head = self.tables.link(SLOT);
        self.tables.write(&batch, SLOT, head).is_ok().then_some(outcomes)
    }

    /// As `Connected::write_exactly`.
    fn on_truth(&mut self, commands: &[Command]) -> Vec<Outcome> {
        let holds: Vec<Uuid> = commands.iter().filter_map(hold_of).collect();
        let operations: Vec<Uuid> = commands.iter().filter_map(credit_of).collect();
        let truth = self.tables.truth(&account_ids(commands, &self.house), &holds, &operations);
        let mut book = Book::new(&self.house, DateTime::<Utc>::UNIX_EPOCH, truth.accounts, truth.holds, truth.operations);
        let outcomes: Vec<Outcome> = commands.iter().map(|command| book.decide(command)).collect();
        let (batch, after) = book.close();
        let head = self.tables.link(SLOT);
        self.tables.write(&batch, SLOT, head).expect("the truth is not stale");
        assert!(after.iter().all(|row| self.tables.accounts[&row.id] == *row), "the balances after are the new ones");
        outcomes
    }

    fn assert_as_the_model(&self) {
        for user in 0..USERS {
            let accounts = accounts_of_user(user);
            let (credits, debt) = (self.tables.accounts[&accounts.credits.0], self.tables.accounts[&accounts.debt.0]);
            let modelled = (self.model.balance(user), self.model.held(user), self.model.debt(user));
            assert_eq!((credits.posted, credits.held, -debt.posted), modelled, "user {user}");
            let budget = self.tables.accounts[&budget_of_user(user).0];
            assert_eq!((budget.posted, budget.held), (self.model.budget(user), self.model.budget_held(user)), "budget {user}");
        }
    }

    fn command_of(&mut self, op: Op) -> Command {
        match op {
            Op::Hold { id, user, amount, least, budgeted } => {
                let terms = Terms { budget: budgeted.then(|| budget_of_user(user)), ..terms_of(id, user, amount) };
                self.asked.entry(id).or_insert(terms);
                Command::Hold { terms, least: least.min(amount) }
            }
            Op::Settle { id, cost } => settle(self.ticket(id), cost, Upon::Hold),
            Op::SettleEarly { id, cost } => {
                let terms = self.asked.get(&id).copied().unwrap_or_else(|| terms_of(id, 0, 7));
                // As the writer does: it knows which holds it has granted.
                let is_held = self.terms.get(&id).is_some_and(|granted| granted.amount == terms.amount);
                settle(terms, cost, if is_held { Upon::Hold } else { Upon::PendingHold })
            }
            Op::GiveBack { id } if id % 2 == 0 => Command::Close { terms: self.ticket(id), closing: Closing::Expire },
            Op::GiveBack { id } => Command::Close { terms: self.ticket(id), closing: Closing::Release },
            Op::Credit { id, user, amount } => Command::Credit(Box::new(Credit {
                id: OperationId(Uuid::from_u128(u128::from(id) + 1_000)),
                accounts: accounts_of_user(user),
                amount: Nanos(amount),
                source: Source::Grants,
                kind: "bonus",
                description: String::new(),
            })),
        }
    }

    fn ticket(&self, id: u32) -> Terms {
        self.terms.get(&id).copied().unwrap_or_else(|| terms_of(id, 0, 7))
    }
}

fn settle(terms: Terms, cost: i64, upon: Upon) -> Command {
    Command::Close { terms, closing: Closing::Settle { record: Box::new(record_of(cost)), upon } }
}

fn terms_of(id: u32, user: i64, amount: i64) -> Terms {
    let hold = HoldId(Uuid::from_u128(u128::from(id) + 1));
    let accounts = accounts_of_user(user);
    Terms { hold, accounts, key: KeyId(1), budget: None, asked: amount, amount, lifetime: Duration::from_secs(120) }
}

fn account_ids(commands: &[Command], house: &HouseIds) -> Vec<i64> {
    let ids: BTreeSet<i64> = commands.iter().flat_map(|command| accounts_of(command, house)).collect();
    ids.into_iter().collect()
}

fn hold_of(command: &Command) -> Option<Uuid> {
    match command {
        Command::Hold { terms, .. } | Command::Close { terms, .. } => Some(terms.hold.0),
        _ => None,
    }
}

fn credit_of(command: &Command) -> Option<Uuid> {
    if let Command::Credit(credit) = command { Some(credit.id.0) } else { None }
}

/// Why an early settle was not charged, its ticket hears from the hold.
fn told(op: &Op, answer: Answer) -> Answer {
    match (op, answer) {
        (Op::SettleEarly { .. }, Answer::Unknown | Answer::Conflict) => Answer::Conflict,
        (_, answer) => answer,
    }
}

fn answer_of(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Held { granted } => Answer::Granted(granted),
        Outcome::Settled(settled) => {
            let (charged, debt, balance) = (settled.charged.0, settled.debt.0, settled.balance_after.0);
            Answer::Charged { charged, debt, balance }
        }
        Outcome::Closed => Answer::GivenBack,
        Outcome::Credited(balance) => Answer::Credited { balance: balance.credits.0, held: balance.held.0, debt: balance.debt.0 },
        Outcome::Failed(LedgerError::Insufficient { available, .. }) => Answer::TooLittle { available: available.0 },
        Outcome::Failed(LedgerError::OverBudget { available, .. }) => Answer::OverBudget { left: available.0 },
        Outcome::Failed(LedgerError::Conflict(_)) => Answer::Conflict,
        Outcome::Failed(LedgerError::Unknown(_)) => Answer::Unknown,
        Outcome::Failed(error) => panic!("{error}"),
    }
}
