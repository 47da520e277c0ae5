//! The writer itself against a database that does what databases do on bad days. The driver keeps what it was told, as a
//! caller would; at the end the tables must agree with every answer.

use super::super::actor::write_until_stopped;
use super::super::book::Book;
use super::super::command::{Closing, Command, Outcome, Place, Seat, Terms, Upon};
use super::super::handle::{Desk, OPEN_HOLDS_MAX};
use super::super::messages::{CallRecord, Credit, LedgerError, Source, UserAccounts};
use super::super::writer::{Writer, WriterOptions, closing_of, house_ids};
use super::fake_database::FakeDatabase;
use super::tables::Tables;
use super::{accounts_of_user, budget_of_user, for_each_seed, once_in, record_of};
use crate::ports::Clock;
use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tollgate_domain::{HoldId, KeyId, Nanos, OperationId};
use tollgate_store::ledger::HoldState;
use uuid::Uuid;

const USERS: i64 = 3;
const OTHER_REPLICA: i32 = 200;
/// What another replica credits in one go.
const FROM_OUTSIDE: i64 = 5;

// Mutants, each red: a settle that is put off and not kept; a journal that is not read at the start; a hold put off without
// its release; a failed batch tried again on beliefs; a place noted before its former owner's holds are released; a settle on a
// pending hold that was sent and is refused all the same; one from the journal that asks for its hold.
#[test]
fn a_thousand_simulated_writers_lose_nothing_and_do_nothing_twice() {
    for_each_seed("simulated writers with lost, repeated and delayed replies and crashes", 1_000, |seed, dice| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(simulate(seed, dice));
    });
}

async fn simulate(seed: u64, mut dice: StdRng) {
    let users: Vec<UserAccounts> = (0..USERS).map(accounts_of_user).collect();
    let folder = std::env::temp_dir().join(format!("tollgate-simulated-{}-{seed}", std::process::id()));
    let world = StdRng::seed_from_u64(dice.random());
    let database = FakeDatabase::new(Tables::with_users(&users), world, another_replica_pays_in);
    let mut caller = Caller::new(Process::start(&database, &folder), dice);
    for _ in 0..caller.dice.random_range(5..25) {
        let commands: Vec<Command> = (0..caller.dice.random_range(1..7)).flat_map(|_| caller.think()).collect();
        caller.send(commands, &database, &folder).await;
    }
    database.world().faults = false;
    // Twice: a crash may have gone unnoticed until now.
    for _ in 0..2 {
        caller.resolve_unknown_outcomes(&database, &folder).await;
        caller.close_everything(&database, &folder).await;
    }
    caller.assert_all_answers_were_true(&database);
    caller.process.kill().await;
    // Each has a folder of its own, so a rest of it harms no one.
    let _ = std::fs::remove_dir_all(&folder);
}

/// Credits and holds of other replicas make the writer's beliefs wrong.
fn another_replica_pays_in(tables: &mut Tables, dice: &mut StdRng) {
    let house = house_ids(&tables.house(OTHER_REPLICA));
    let accounts = accounts_of_user(dice.random_range(0..USERS));
    let credit = Credit { accounts, amount: Nanos(FROM_OUTSIDE), ..credit_of(dice.random(), 0, 1) };
    let rows: Vec<_> = tables.accounts.values().copied().collect();
    let mut book = Book::new(&house, DateTime::<Utc>::UNIX_EPOCH, rows, [], []);
    book.decide(&Command::Credit(Box::new(Credit { kind: "outside", ..credit })));
    let (mut batch, _) = book.close();
    batch.accounts.retain(|change| change.posted_delta != 0);
    let head = tables.link(OTHER_REPLICA);
    tables.write(&batch, OTHER_REPLICA, head).expect("decided on the truth");
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}

/// One life of the server's process: the writer with its queue.
struct Process {
    desk: Arc<Desk>,
    writing: JoinHandle<()>,
}

impl Process {
    fn start(database: &FakeDatabase, folder: &Path) -> Self {
        let (desk, queue) = Desk::new();
        let options = WriterOptions {
            store: database.clone(),
            clock: Arc::new(StoppedClock),
            instance: "simulated".to_owned(),
            data_dir: folder.to_owned(),
            open_max: OPEN_HOLDS_MAX,
            batch_max: 8,
        };
        let writer = Writer::new(options, Arc::clone(&desk)).expect("the folder is writable");
        let (ready, _) = oneshot::channel();
        let writing = tokio::spawn(write_until_stopped(writer, queue, CancellationToken::new(), ready));
        Self { desk, writing }
    }

    /// Memory is lost; the journal and the database stay.
    async fn kill(&mut self) {
        self.writing.abort();
        let _ = (&mut self.writing).await;
    }
}

/// What the caller knows of a hold.
#[derive(Clone, Copy)]
struct Known {
    terms: Terms,
    granted: Option<i64>,
    refused: bool,
    /// What it was, or will be, settled for.
    cost: Option<i64>,
    settled: bool,
}

struct Caller {
    process: Process,
    dice: StdRng,
    next_id: u128,
    holds: HashMap<Uuid, Known>,
    /// What a hold shares with a settle that does not wait for it.
    places: HashMap<HoldId, Place>,
    credits: HashMap<Uuid, Credit>,
    unknown: Vec<Command>,
}

impl Caller {
    fn new(process: Process, dice: StdRng) -> Self {
        Self {
            process,
            dice,
            next_id: 1,
            holds: HashMap::new(),
            places: HashMap::new(),
            credits: HashMap::new(),
            unknown: Vec::new(),
        }
    }

    fn think(&mut self) -> Vec<Command> {
        let open = self.open();
        let user = self.dice.random_range(0..USERS);
        match self.dice.random_range(0..20) {
            0..8 if !open.is_empty() => {
                let chosen = self.dice.random_range(0..open.len());
                vec![self.close(open[chosen])]
            }
            8..10 => {
                let credit = credit_of(self.new_id(), user, self.dice.random_range(1..60));
                self.credits.insert(credit.id.0, credit.clone());
                vec![Command::Credit(Box::new(credit))]
            }
            10 if !self.credits.is_empty() => {
                let first = self.credits.keys().min().expect("not empty");
                vec![Command::Credit(Box::new(self.credits[first].clone()))]
            }
            11 if once_in(&mut self.dice, 10) => vec![Command::Panic],
            12..16 => self.hold_and_settle(user),
            _ => vec![self.hold(user)],
        }
    }

    /// Held and not closed yet, in the same order for the same seed.
    fn open(&self) -> Vec<Uuid> {
        let is_unknown =
            |id: &Uuid| self.unknown.iter().any(|it| matches!(it, Command::Close { terms, .. } if terms.hold.0 == *id));
        let is_open = |(id, known): &(&Uuid, &Known)| known.granted.is_some() && known.cost.is_none() && !is_unknown(id);
        let open = self.holds.iter().filter(is_open);
        let mut ids: Vec<Uuid> = open.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    fn hold(&mut self, user: i64) -> Command {
        let amount = self.dice.random_range(0..20);
        let least = if once_in(&mut self.dice, 4) { amount / 2 } else { amount };
        let (hold, accounts) = (HoldId(Uuid::from_u128(self.new_id())), accounts_of_user(user));
        let budget = once_in(&mut self.dice, 3).then(|| budget_of_user(user));
        let terms = Terms { hold, accounts, key: KeyId(1), budget, asked: amount, amount, lifetime: Duration::from_secs(120) };
        self.holds.insert(hold.0, Known { terms, granted: None, refused: false, cost: None, settled: false });
        self.process.desk.live.insert(&terms);
        Command::Hold { terms, least }
    }

    /// As a call that is over before its hold is heard of.
    fn hold_and_settle(&mut self, user: i64) -> Vec<Command> {
        let hold = self.hold(user);
        let Command::Hold { terms, .. } = hold else { return vec![hold] };
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("it is free");
        self.places.insert(terms.hold, Seat::of(place));
        let cost = self.dice.random_range(0..terms.amount + 2);
        let closing = Closing::Settle { record: Box::new(record_of(cost)), upon: Upon::PendingHold };
        vec![hold, Command::Close { terms, closing }]
    }

    /// As a ticket: once, by a settle or by a release.
    fn close(&mut self, id: Uuid) -> Command {
        let gives_back = once_in(&mut self.dice, 4);
        let more = if once_in(&mut self.dice, 5) { 30 } else { 1 };
        let known = self.holds.get_mut(&id).expect("it is open");
        self.process.desk.live.remove(known.terms.hold);
        let terms = known.terms;
        if gives_back {
            self.holds.remove(&id);
            return Command::Close { terms, closing: Closing::Release };
        }
        let cost = self.dice.random_range(0..terms.amount + more);
        known.cost = Some(cost);
        Command::Close { terms, closing: Closing::Settle { record: Box::new(record_of(cost)), upon: Upon::Hold } }
    }

    fn new_id(&mut self) -> u128 {
        self.next_id += 1;
        self.next_id
    }

    /// Sends the commands at once and notes the answers. When the process dies, those that are missing are unknown.
    async fn send(&mut self, commands: Vec<Command>, database: &FakeDatabase, folder: &Path) {
        let desk = Arc::clone(&self.process.desk);
        let sent: Vec<_> = commands.into_iter().map(|command| (self.ask(&desk, &command), command)).collect();
        let crash = Arc::clone(&database.crashed);
        let mut crashed = false;
        for (mut answer, command) in sent {
            let outcome = tokio::select! {
                biased;
                outcome = &mut answer => outcome.ok(),
                () = crash.notified(), if !crashed => {
                    crashed = true;
                    self.process.kill().await;
                    answer.try_recv().ok()
                }
            };
            match outcome {
                Some(outcome) => self.hear(command, outcome),
                None => self.unknown.push(command),
            }
        }
        if crashed {
            self.process = Process::start(database, folder);
        }
    }

    /// Half of the holds can wait, which shows in nothing but their time.
    fn ask(&mut self, desk: &Desk, command: &Command) -> oneshot::Receiver<Outcome> {
        let is_patient = matches!(command, Command::Hold { .. }) && once_in(&mut self.dice, 2);
        desk.queue_up(command.clone(), self.place_of(command), None, is_patient)
    }

    fn place_of(&self, command: &Command) -> Option<Place> {
        match command {
            Command::Hold { terms, .. } | Command::Close { terms, .. } => self.places.get(&terms.hold).cloned(),
            _ => None,
        }
    }

    /// A settle that did not wait for its hold: charged, or the hold is as any other that was asked for.
    fn hear_early(&mut self, terms: &Terms, record: &CallRecord, outcome: &Outcome) {
        let known = self.holds.get_mut(&terms.hold.0).expect("asked for");
        if let Outcome::Settled(settled) = outcome {
            assert_eq!(settled.charged, record.cost);
            (known.cost, known.settled) = (Some(record.cost.0), true);
            // Nobody waits for the hold any more.
            self.process.desk.live.remove(terms.hold);
            self.unknown.retain(|command| !matches!(command, Command::Hold { terms: of, .. } if of.hold == terms.hold));
        } else {
            assert!(!known.settled, "what was charged stays charged: {outcome:?}");
        }
    }

    fn hear(&mut self, command: Command, outcome: Outcome) {
        match (&command, outcome) {
            (Command::Close { terms, closing: Closing::Settle { record, upon: Upon::PendingHold } }, outcome) => {
                self.hear_early(terms, record, &outcome);
            }
            (Command::Hold { terms, .. }, Outcome::Held { granted }) => {
                let known = self.holds.get_mut(&terms.hold.0).expect("asked for");
                assert!(!known.refused && known.granted.is_none_or(|before| before == granted), "the same answer");
                known.granted = Some(granted);
                known.terms.amount = granted;
            }
            (Command::Hold { terms, .. }, Outcome::Failed(LedgerError::Insufficient { .. } | LedgerError::OverBudget { .. })) => {
                let known = self.holds.get_mut(&terms.hold.0).expect("asked for");
                assert_eq!(known.granted, None, "a granted hold is not refused later");
                known.refused = true;
            }
            (Command::Close { terms, closing: Closing::Settle { record, .. } }, Outcome::Settled(settled)) => {
                assert_eq!(settled.charged, record.cost);
                self.holds.get_mut(&terms.hold.0).expect("held").settled = true;
            }
            (Command::Close { closing: Closing::Release | Closing::Expire, .. }, Outcome::Closed)
            | (Command::Credit(_), Outcome::Credited(_))
            | (Command::Panic, Outcome::Failed(LedgerError::Unavailable)) => {}
            (Command::Hold { .. } | Command::Credit(_), Outcome::Failed(LedgerError::Unavailable)) => {
                self.unknown.push(command);
            }
            (command, outcome) => panic!("{command:?} was answered {outcome:?}"),
        }
    }

    /// The same command under the same id tells how it ended. For some holds the caller gives up instead, as clients do.
    async fn resolve_unknown_outcomes(&mut self, database: &FakeDatabase, folder: &Path) {
        for _ in 0..20 {
            let mut unknown = std::mem::take(&mut self.unknown);
            unknown.retain(|command| match command {
                Command::Panic => false,
                // With an early settle behind it, which may be charged, it is asked for again.
                Command::Hold { terms, .. } if !self.places.contains_key(&terms.hold) && once_in(&mut self.dice, 2) => {
                    self.process.desk.live.remove(terms.hold);
                    false
                }
                _ => true,
            });
            if unknown.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.send(unknown, database, folder).await;
        }
        panic!("unknown for ever: {:?}", self.unknown);
    }

    /// Settles what is open for the caller; what no one knows any more falls to the keeper.
    async fn close_everything(&mut self, database: &FakeDatabase, folder: &Path) {
        let open = self.open();
        let closings = open.into_iter().map(|id| self.close(id)).collect();
        self.send(closings, database, folder).await;
        // What is owed is paid at the writer's next look.
        tokio::time::sleep(Duration::from_secs(5)).await;
        database.world().arrive();
        let in_use = database.world().slots_in_use();
        for slot in in_use {
            let forgotten = database.world().due(Some(slot)).len();
            assert_eq!(forgotten, 0, "holds of the living writer's slot {slot} are forgotten");
        }
        // Those of slots that were lost on the way: without a heartbeat, they are every replica's to release.
        let due = database.world().due(None);
        self.send(due.iter().map(|hold| closing_of(hold, Closing::Expire)).collect(), database, folder).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }

    fn assert_all_answers_were_true(&self, database: &FakeDatabase) {
        assert!(!database.world.is_poisoned(), "a statement was unlawful: see the panic above");
        let world = database.world();
        let tables = &world.tables;
        tables.assert_lawful();
        assert_eq!(tables.open_holds().count(), 0, "no hold is left open");
        for (id, known) in &self.holds {
            let row = tables.holds.get(id);
            if known.refused {
                assert_eq!(row.expect("it was answered").state, HoldState::Refused.code());
            }
            if let Some(granted) = known.granted {
                assert_eq!(row.expect("it was answered").amount, granted);
            }
            if known.settled {
                assert_eq!(row.expect("it was answered").charged, known.cost, "a settle that was answered is charged");
            }
            assert_eq!(known.cost.is_some(), known.settled, "every settle was answered in the end");
        }
        for user in 0..USERS {
            self.assert_no_money_came_or_went(tables, &accounts_of_user(user));
        }
    }

    /// Money in minus usage, counted from what the caller was told.
    fn assert_no_money_came_or_went(&self, tables: &Tables, accounts: &UserAccounts) {
        let own = |credit: &&Credit| credit.accounts.credits == accounts.credits;
        let paid_in: i64 = self.credits.values().filter(own).map(|credit| credit.amount.0).sum();
        let outside = |it: &&tollgate_store::ledger::Transfer| it.kind == "outside" && it.credit_account == accounts.credits.0;
        let from_outside: i64 = tables.transfers.iter().filter(outside).map(|it| it.amount).sum();
        let used: i64 =
            self.holds.values().filter(|known| known.terms.accounts == *accounts).filter_map(|known| known.cost).sum();
        let owned = tables.accounts[&accounts.credits.0].posted + tables.accounts[&accounts.debt.0].posted;
        assert_eq!(owned, paid_in + from_outside - used, "user {}", accounts.user.0);
    }
}

fn credit_of(id: u128, user: i64, amount: i64) -> Credit {
    Credit {
        id: OperationId(Uuid::from_u128(id)),
        accounts: accounts_of_user(user),
        amount: Nanos(amount),
        source: Source::Clearing,
        kind: "purchase",
        description: String::new(),
    }
}
