//! What the decisions say about holds, settles and credits, in as few lines as possible. Knows nothing of batches, beliefs
//! or tables: a user has a balance, open holds and a debt, and every id has one outcome.

use std::collections::HashMap;

#[derive(Clone, Copy, Debug)]
pub enum Op {
    Hold { id: u32, user: i64, amount: i64, least: i64 },
    Settle { id: u32, cost: i64 },
    GiveBack { id: u32 },
    Credit { id: u32, user: i64, amount: i64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Granted(i64),
    TooLittle { available: i64 },
    Charged { charged: i64, debt: i64, balance: i64 },
    GivenBack,
    Credited { balance: i64, held: i64, debt: i64 },
    Conflict,
    Unknown,
}

#[derive(Clone, Copy)]
struct Hold {
    user: i64,
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
            Op::Hold { id, user, amount, least } => self.hold(id, user, amount, least),
            Op::Settle { id, cost } => self.settle(id, cost),
            Op::GiveBack { id } => {
                if let Some(hold) = self.holds.get_mut(&id) {
                    hold.open = false;
                }
                Answer::GivenBack
            }
            Op::Credit { id, user, amount } => self.credit(id, user, amount),
        }
    }

    fn hold(&mut self, id: u32, user: i64, asked: i64, least: i64) -> Answer {
        let available = self.balance(user) - self.held(user);
        let new = Hold { user, asked, granted: Some(asked.min(available)), open: true, charged: None };
        let known = self.holds.get(&id).copied();
        let hold = known.unwrap_or(if available < least.min(asked) { Hold { granted: None, open: false, ..new } } else { new });
        self.holds.insert(id, hold);
        match hold.granted {
            _ if (hold.user, hold.asked) != (user, asked) => Answer::Conflict,
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
