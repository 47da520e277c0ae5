//! What the decisions say about holds, settles, credits and budgets, in as few lines as possible. Knows nothing of batches, beliefs
//! or tables: a user has a balance, open holds, a debt and a budget, and every id has one outcome.

use super::BUDGET;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Out of the user's budget, too, where that is `budgeted`.
    Hold {
        id: u32,
        user: i64,
        amount: i64,
        least: i64,
        budgeted: bool,
    },
    Settle {
        id: u32,
        cost: i64,
    },
    /// Before the answer to the hold was heard.
    SettleEarly {
        id: u32,
        cost: i64,
    },
    GiveBack {
        id: u32,
    },
    Credit {
        id: u32,
        user: i64,
        amount: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Granted(i64),
    TooLittle { available: i64 },
    OverBudget { left: i64 },
    Charged { charged: i64, debt: i64, balance: i64 },
    GivenBack,
    Credited { balance: i64, held: i64, debt: i64 },
    Conflict,
    Unknown,
}

#[derive(Clone, Copy)]
struct Hold {
    user: i64,
    budgeted: bool,
    asked: i64,
    /// `None`: refused, for ever.
    granted: Option<i64>,
    open: bool,
    charged: Option<(i64, i64)>,
}

#[derive(Default)]
pub struct Model {
    balance: HashMap<i64, i64>,
    debt: HashMap<i64, i64>,
    holds: HashMap<u32, Hold>,
    credits: HashMap<u32, (i64, i64, Answer)>,
}

impl Model {
    pub fn held(&self, user: i64) -> i64 {
        self.holds.values().filter(|hold| hold.open && hold.user == user).filter_map(|hold| hold.granted).sum()
    }

    pub fn balance(&self, user: i64) -> i64 {
        self.balance.get(&user).copied().unwrap_or(0)
    }

    pub fn debt(&self, user: i64) -> i64 {
        self.debt.get(&user).copied().unwrap_or(0)
    }

    pub fn apply(&mut self, op: Op) -> Answer {
        match op {
            Op::Hold { id, user, amount, least, budgeted } => self.hold(id, user, amount, least, budgeted),
            Op::Settle { id, cost } => self.settle(id, cost),
            Op::SettleEarly { id, cost } => match self.holds.get(&id) {
                Some(hold) if hold.granted == Some(hold.asked) => self.settle(id, cost),
                // What pays for less than was asked pays for another answer.
                Some(hold) if hold.granted.is_some() => Answer::Conflict,
                _ => Answer::Unknown,
            },
            Op::GiveBack { id } => {
                if let Some(hold) = self.holds.get_mut(&id) {
                    hold.open = false;
                }
                Answer::GivenBack
            }
            Op::Credit { id, user, amount } => self.credit(id, user, amount),
        }
    }

    /// The budget, less what its calls cost.
    pub fn budget(&self, user: i64) -> i64 {
        let charged = self.holds.values().filter(|hold| hold.budgeted && hold.user == user).filter_map(|hold| hold.charged);
        BUDGET - charged.map(|(cost, _)| cost).sum::<i64>()
    }

    pub fn budget_held(&self, user: i64) -> i64 {
        let open = self.holds.values().filter(|hold| hold.budgeted && hold.open && hold.user == user);
        open.filter_map(|hold| hold.granted).sum()
    }

    fn hold(&mut self, id: u32, user: i64, asked: i64, least: i64, budgeted: bool) -> Answer {
        let available = self.balance(user) - self.held(user);
        let left = if budgeted { self.budget(user) - self.budget_held(user) } else { i64::MAX };
        let room = available.min(left.max(0));
        let new = Hold { user, budgeted, asked, granted: Some(asked.min(room)), open: true, charged: None };
        let known = self.holds.get(&id).copied();
        let hold = known.unwrap_or(if room < least.min(asked) { Hold { granted: None, open: false, ..new } } else { new });
        self.holds.insert(id, hold);
        match hold.granted {
            _ if (hold.user, hold.budgeted, hold.asked) != (user, budgeted, asked) => Answer::Conflict,
            None if left < available => Answer::OverBudget { left: left.max(0) },
            None => Answer::TooLittle { available },
            Some(granted) if granted < least.min(asked) => Answer::Conflict,
            Some(granted) => Answer::Granted(granted),
        }
    }

    fn settle(&mut self, id: u32, cost: i64) -> Answer {
        let Some(mut hold) = self.holds.get(&id).copied().filter(|hold| hold.granted.is_some()) else { return Answer::Unknown };
        if hold.charged.is_none() {
            hold.open = false;
            self.holds.insert(id, hold);
            let debt = (cost - (self.balance(hold.user) - self.held(hold.user))).max(0);
            *self.balance.entry(hold.user).or_default() -= cost - debt;
            *self.debt.entry(hold.user).or_default() += debt;
            hold.charged = Some((cost, debt));
            self.holds.insert(id, hold);
        }
        match hold.charged {
            Some((charged, debt)) if charged == cost => Answer::Charged { charged, debt, balance: self.balance(hold.user) },
            _ => Answer::Conflict,
        }
    }

    fn credit(&mut self, id: u32, user: i64, amount: i64) -> Answer {
        if let Some((of, same, answer)) = self.credits.get(&id) {
            return if (*of, *same) == (user, amount) { *answer } else { Answer::Conflict };
        }
        let repaid = amount.min(self.debt(user));
        *self.debt.entry(user).or_default() -= repaid;
        *self.balance.entry(user).or_default() += amount - repaid;
        let answer = Answer::Credited { balance: self.balance(user), held: self.held(user), debt: self.debt(user) };
        self.credits.insert(id, (user, amount, answer));
        answer
    }
}
