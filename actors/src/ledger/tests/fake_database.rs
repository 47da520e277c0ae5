//! A database for the writer that loses replies, repeats and delays statements, lets another replica in between, and at one
//! step takes the whole process down.

use super::super::writer::{Database, Line};
use super::tables::Tables;
use super::{accounts_of_user, once_in};
use chrono::{DateTime, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tollgate_store::StoreError;
use tollgate_store::ledger::{AccountRow, Batch, ChainHead, DueHold, HoldRow, House, Truth, WriteError};
use uuid::Uuid;

/// What another replica does while the writer's statement is on its way.
pub type Interference = fn(&mut Tables, &mut StdRng);

pub struct World {
    pub tables: Tables,
    pub dice: StdRng,
    pub faults: bool,
    /// The process dies at this step: the statement's reply never comes, nor does anything else.
    pub crash_at: u64,
    pub steps: u64,
    interference: Interference,
    /// Which session holds the slot's lock, and the slot's epoch.
    slots: HashMap<i32, (u64, i64)>,
    sessions: u64,
    /// Statements that are still on their way though no one waits for them, with the session that carries each.
    underway: Vec<(u64, Batch, i32, i64)>,
}

#[derive(Clone)]
pub struct FakeDatabase {
    pub world: Arc<Mutex<World>>,
    pub crashed: Arc<Notify>,
}

pub struct FakeLine {
    database: FakeDatabase,
    session: u64,
    slot: i32,
    epoch: i64,
    head: i64,
    lost: bool,
}

enum Fate {
    Done,
    /// It never reached the database.
    Lost,
    /// It is done, but the reply is lost.
    Unheard,
    /// The reply is lost now, and it will be done, or found stale, some time later.
    Late,
}

impl FakeDatabase {
    pub fn new(tables: Tables, mut dice: StdRng, interference: Interference) -> Self {
        let crash_at = dice.random_range(1..60);
        let world = World {
            tables,
            dice,
            faults: true,
            crash_at,
            steps: 0,
            interference,
            slots: HashMap::new(),
            sessions: 0,
            underway: Vec::new(),
        };
        Self { world: Arc::new(Mutex::new(world)), crashed: Arc::default() }
    }

    /// What is unlawful panics in the middle of a statement, where the writer catches it: it shows as poison at the end.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One statement's way to the database; `do_it` is called when it arrives.
    async fn step<T>(&self, do_it: impl FnOnce(&Self) -> T) -> Result<T, StoreError> {
        let (fate, delay, crashes) = self.world().next_fate();
        if crashes && !matches!(fate, Fate::Unheard) {
            return self.crash().await;
        }
        tokio::time::sleep(delay).await;
        self.world().let_others_in();
        if matches!(fate, Fate::Lost) {
            return Err(away());
        }
        let done = do_it(self);
        if crashes {
            return self.crash().await;
        }
        if matches!(fate, Fate::Done) { Ok(done) } else { Err(away()) }
    }

    async fn crash<T>(&self) -> T {
        self.crashed.notify_one();
        pending().await
    }
}

impl World {
    fn next_fate(&mut self) -> (Fate, Duration, bool) {
        self.steps += 1;
        if !self.faults {
            return (Fate::Done, Duration::ZERO, false);
        }
        let fate = match self.dice.random_range(0..40) {
            0 => Fate::Lost,
            1 => Fate::Unheard,
            2 => Fate::Late,
            _ => Fate::Done,
        };
        let delay = if once_in(&mut self.dice, 8) { self.dice.random_range(1..20_000) } else { 0 };
        (fate, Duration::from_millis(delay), self.steps == self.crash_at)
    }

    fn let_others_in(&mut self) {
        if !self.faults || once_in(&mut self.dice, 3) {
            self.arrive();
        }
        if self.faults && once_in(&mut self.dice, 6) {
            (self.interference)(&mut self.tables, &mut self.dice);
        }
    }

    /// What was under way arrives, and its session ends.
    pub fn arrive(&mut self) {
        for (session, batch, slot, head) in std::mem::take(&mut self.underway) {
            // Found stale or written: no one learns of it.
            let _ = self.tables.write(&batch, slot, head);
            self.hang_up(session);
        }
    }

    /// The session's lock on its slot goes with it, unless a statement of it is still under way.
    fn hang_up(&mut self, session: u64) {
        if self.underway.iter().all(|(carrier, ..)| *carrier != session) {
            self.slots.values_mut().filter(|(holder, _)| *holder == session).for_each(|slot| slot.0 = 0);
        }
    }

    fn claim(&mut self, preferred: Option<(i32, i64)>) -> (u64, i32, i64, bool) {
        self.sessions += 1;
        let free = |slot: &i32| self.slots.get(slot).is_none_or(|(holder, _)| *holder == 0);
        let slot = preferred.into_iter().map(|(slot, _)| slot).chain(1..).find(free).expect("endless");
        let entry = self.slots.entry(slot).or_insert((0, 0));
        entry.0 = self.sessions;
        if preferred == Some((slot, entry.1)) {
            return (self.sessions, slot, entry.1, false);
        }
        entry.1 += 1;
        (self.sessions, slot, entry.1, entry.1 > 1)
    }

    pub fn slots_in_use(&self) -> Vec<i32> {
        self.slots.iter().filter(|(_, (holder, _))| *holder != 0).map(|(slot, _)| *slot).collect()
    }

    pub fn due(&self, slot: Option<i32>) -> Vec<DueHold> {
        let open = self.tables.open_holds().filter(|hold| slot.is_none_or(|slot| self.tables.slots[&hold.id] == slot));
        let mut due: Vec<DueHold> = open.map(due_hold).collect();
        due.sort_unstable_by_key(|hold| hold.id);
        due
    }
}

fn due_hold(hold: &HoldRow) -> DueHold {
    let user_id = (hold.account_id - 100) / 2;
    DueHold {
        id: hold.id,
        user_id,
        asset: accounts_of_user(user_id).asset.as_str().to_owned(),
        account: hold.account_id,
        debt_account: hold.account_id + 1,
        budget_account: hold.budget_account_id,
        asked: hold.asked,
        amount: hold.amount,
        expired: false,
    }
}

impl Database for FakeDatabase {
    type Line = FakeLine;

    async fn claim(&self, _: &str, preferred: Option<(i32, i64)>) -> Result<(FakeLine, House, bool), StoreError> {
        // A connection that was opened although no one heard of it is closed by dropping it.
        let claimed = |database: &Self| {
            let mut world = database.world();
            let (session, slot, epoch, taken_over) = world.claim(preferred);
            let head = world.tables.link(slot);
            let line = FakeLine { database: database.clone(), session, slot, epoch, head, lost: false };
            (line, world.tables.house(slot), taken_over)
        };
        self.step(claimed).await
    }

    async fn due(&self, _: DateTime<Utc>, orphaned_slot: i32, limit: i64) -> Result<Vec<DueHold>, StoreError> {
        let limit = usize::try_from(limit).expect("positive");
        self.step(|database| database.world().due(Some(orphaned_slot)).into_iter().take(limit).collect()).await
    }
}

impl FakeLine {
    async fn step<T>(&mut self, do_it: impl FnOnce(&FakeDatabase) -> T) -> Result<T, StoreError> {
        if self.lost {
            return Err(away());
        }
        let done = self.database.step(do_it).await;
        self.lost = done.is_err();
        done
    }

    /// Sends the batch. A repeated one must be found stale.
    async fn send(&mut self, batch: &Batch, head: i64) -> Result<(), WriteError> {
        let (session, slot) = (self.session, self.slot);
        let late = self.database.world().faults && once_in(&mut self.database.world().dice, 40) && !self.lost;
        if late {
            self.lost = true;
            self.database.world().underway.push((session, batch.clone(), slot, head));
            return Err(away().into());
        }
        self.step(|database| {
            let mut world = database.world();
            world.tables.write(batch, slot, head)?;
            if batch.has_history() {
                assert!(world.tables.write(batch, slot, head).is_err(), "a repeated batch has no effect");
            }
            Ok(())
        })
        .await?
    }
}

impl Drop for FakeLine {
    fn drop(&mut self) {
        if let Ok(mut world) = self.database.world.try_lock() {
            world.hang_up(self.session);
        }
    }
}

impl Line for FakeLine {
    fn place(&self) -> (i32, i64) {
        (self.slot, self.epoch)
    }

    fn head(&self) -> ChainHead {
        ChainHead { batch: self.head, hash: [0; 32] }
    }

    async fn balances(&mut self, ids: &[i64]) -> Result<Vec<AccountRow>, StoreError> {
        self.step(|database| database.world().tables.balances(ids)).await
    }

    async fn write(&mut self, batch: &Batch, _: DateTime<Utc>) -> Result<(), WriteError> {
        self.send(batch, self.head).await?;
        self.head += i64::from(batch.has_history());
        Ok(())
    }

    async fn write_exactly<T: Send>(
        &mut self,
        account_ids: &[i64],
        hold_ids: &[Uuid],
        operation_ids: &[Uuid],
        _: DateTime<Utc>,
        decide: impl FnOnce(Truth) -> (Batch, T) + Send,
    ) -> Result<T, WriteError> {
        let slot = self.slot;
        // Under the lock no one comes in between: one step, decided and written at the same time.
        let (written, answer, head) = self
            .step(|database| {
                let head = database.world().tables.link(slot);
                let truth = database.world().tables.truth(account_ids, hold_ids, operation_ids);
                let (batch, answer) = decide(truth);
                let written = if batch.is_empty() { Ok(()) } else { database.world().tables.write(&batch, slot, head) };
                (written, answer, head + i64::from(batch.has_history()))
            })
            .await?;
        written?;
        self.head = head;
        Ok(answer)
    }

    async fn heartbeat(&mut self) -> Result<bool, StoreError> {
        let (session, slot) = (self.session, self.slot);
        self.step(|database| database.world().slots.get(&slot).is_some_and(|(holder, _)| *holder == session)).await
    }
}

fn away() -> StoreError {
    StoreError::Unavailable("simulated".to_owned())
}
