//! The writer: the task behind the ledger's face.
//!
//! It takes what waits (up to [`BATCH_MAX`]), decides it on beliefs, writes it in one statement with one commit, and answers.
//! A lone caller waits for one commit, a crowd shares it. Only holds that nobody waits for have a timer ([`patient`]).

mod connected;
mod database;
mod owed;
mod patient;

pub use connected::closing_of;
pub use database::{Database, Line};

use super::answers::send_home;
use super::book::HouseIds;
use super::command::{Closing, Command, Envelope, Outcome, Terms, Upon};
use super::handle::Desk;
use super::messages::LedgerError;
use crate::ports::Clock;
use chrono::{DateTime, SubsecRound, Utc};
use connected::Connected;
use futures_util::FutureExt;
use owed::Owed;
use patient::Patient;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};
use tokio_util::sync::CancellationToken;
use tollgate_store::{Store, StoreError};

/// Commands in one batch: beyond this a batch's own latency grows faster than its throughput.
pub const BATCH_MAX: usize = 1_000;
/// How often the writer looks after its heartbeat, its connection and what is owed.
const TICK: Duration = Duration::from_millis(500);
/// Rest between two tries to reach the database.
const RECONNECT_REST: Duration = Duration::from_millis(200);
/// How often the chain's head is written down outside the database.
const ANCHOR_EVERY: Duration = Duration::from_secs(60);

/// What the writer needs from the house.
#[derive(Clone)]
pub struct WriterOptions<D = Store> {
    pub store: D,
    pub clock: Arc<dyn Clock>,
    /// This replica's name in `instances`.
    pub instance: String,
    /// Where the journal and the anchors are kept.
    pub data_dir: PathBuf,
    /// Holds that may be open at once in this process; at most [`OPEN_HOLDS_MAX`](super::OPEN_HOLDS_MAX).
    pub open_max: usize,
    /// Commands in one batch; [`BATCH_MAX`] but for measuring what batches are worth.
    pub batch_max: usize,
}

/// The writer's state. It survives a panic in a batch: what was not answered is tried again, one by one.
pub struct Writer<D: Database> {
    options: WriterOptions<D>,
    desk: Arc<Desk>,
    connected: Option<Connected<D::Line>>,
    /// Slot and epoch of the last connection, to ask for the same place again.
    place: Option<(i32, i64)>,
    next_try: Instant,
    next_anchor: Instant,
    owed: Owed,
    patient: Patient,
}

impl<D: Database> Writer<D> {
    /// Opens the journal; the database is reached in [`run`](Self::run).
    ///
    /// # Errors
    /// The file system's.
    pub fn new(options: WriterOptions<D>, desk: Arc<Desk>) -> std::io::Result<Self> {
        let owed = Owed::open(&options.data_dir)?;
        let now = Instant::now();
        let (next_anchor, patient) = (now + ANCHOR_EVERY, Patient::default());
        Ok(Self { options, desk, connected: None, place: None, next_try: now, next_anchor, owed, patient })
    }

    /// Serves the queue until it is closed and empty; `stop` closes it. `ready` is told of the first connection.
    pub async fn run(
        &mut self,
        queue: &mut mpsc::Receiver<Envelope>,
        ready: &mut Option<oneshot::Sender<()>>,
        stop: &CancellationToken,
    ) {
        let batch_max = self.options.batch_max;
        let mut waiting = Vec::with_capacity(batch_max);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.patient.due();
            tokio::select! {
                biased;
                _ = tick.tick() => self.look_after().await,
                () = stop.cancelled(), if !queue.is_closed() => queue.close(),
                taken = queue.recv_many(&mut waiting, batch_max) => {
                    if taken == 0 {
                        return self.finish().await;
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            self.patient.sort(&mut waiting, batch_max);
            if !waiting.is_empty() {
                self.serve(&mut waiting).await;
            }
            if self.connected.is_some()
                && let Some(ready) = ready.take()
            {
                // Whoever waits for the first connection may have left.
                let _ = ready.send(());
            }
        }
    }

    /// Nothing arrives any more.
    async fn finish(&mut self) {
        loop {
            let mut last = self.patient.rest(self.options.batch_max);
            if last.is_empty() {
                return self.anchor();
            }
            self.serve(&mut last).await;
        }
    }

    /// Answers every command of the batch. Leaves `waiting` empty.
    async fn serve(&mut self, waiting: &mut Vec<Envelope>) {
        metrics::histogram!("tollgate_ledger_batch_commands").record(f64::from(u32::try_from(waiting.len()).unwrap_or(u32::MAX)));
        self.connect_if_due().await;
        waiting.iter_mut().for_each(Envelope::catch_up);
        let commands: Vec<&Command> = waiting.iter().map(|envelope| &envelope.command).collect();
        let at = now(&*self.options.clock);
        let mut decided = Vec::new();
        let written = match self.connected.as_mut() {
            Some(connected) => guarded(connected.write_batch(&commands, at, &self.desk, &mut decided)).await,
            None => Err(Trouble::Away),
        };
        let outcomes = match written {
            Ok(()) => decided,
            Err(trouble) => {
                if !trouble.leaves_open() {
                    decided.clear();
                }
                self.serve_carefully(&commands, &decided, trouble, at).await
            }
        };
        waiting.iter_mut().zip(&outcomes).for_each(|(envelope, outcome)| envelope.note(outcome));
        send_home(&self.desk, waiting.drain(..).zip(outcomes));
    }

    /// The batch failed as a whole: decides it on the truth; what fails again is halved until the guilty command stands
    /// alone. `sent`: the answers of the batch, if it may have been committed all the same; else empty.
    async fn serve_carefully(
        &mut self,
        commands: &[&Command],
        sent: &[Outcome],
        trouble: Trouble,
        at: DateTime<Utc>,
    ) -> Vec<Outcome> {
        if trouble.leaves_open() {
            self.reconnect().await;
        }
        let mut outcomes = Vec::with_capacity(commands.len());
        let mut parts = vec![commands];
        while let Some(part) = parts.pop() {
            let mut decided = Vec::new();
            let written = match self.connected.as_mut() {
                Some(connected) => guarded(connected.write_exactly(part, at, &self.desk, &mut decided)).await,
                None => Err(Trouble::Away),
            };
            match written {
                Ok(()) => outcomes.append(&mut decided),
                Err(Trouble::Away) => {
                    self.disconnect();
                    let before = outcomes.len();
                    for (place, command) in part.iter().enumerate() {
                        let held = was_held(command, commands.iter().copied().zip(&outcomes).take(before));
                        let may_be_settled = [decided.get(place), sent.get(before + place)].into_iter().flatten().any(is_settled);
                        outcomes.push(self.put_off(command, held.unwrap_or(may_be_settled)));
                    }
                }
                Err(trouble) => {
                    if trouble == Trouble::Panicked {
                        self.reconnect().await;
                    }
                    match part {
                        [guilty] => outcomes.push(self.give_up(guilty, &trouble)),
                        // The last pushed is served first: the order of arrival is kept.
                        _ => {
                            let (first, second) = part.split_at(part.len() / 2);
                            parts.extend([second, first]);
                        }
                    }
                }
            }
        }
        outcomes
    }

    /// The database is away: what is owed goes to the journal, everything else is refused. `may_be_held`: the hold of a settle that
    /// did not wait for it may be committed.
    fn put_off(&mut self, command: &Command, may_be_held: bool) -> Outcome {
        match command {
            Command::Close { terms, closing: Closing::Settle { record, upon } } => match upon {
                Upon::RefusedHold => Outcome::Failed(LedgerError::Unavailable),
                Upon::PendingHold if !may_be_held => Outcome::Failed(LedgerError::Unavailable),
                Upon::PendingHold => self.owed.settle_unheld(terms, record, &self.desk),
                Upon::Hold | Upon::Answer => self.owed.settle(terms, record, &self.desk),
            },
            Command::Close { terms, .. } => {
                self.owed.release(*terms);
                Outcome::Closed
            }
            // Whether it was committed is not known. The caller is told no, so it must not stay open.
            Command::Hold { terms, .. } => {
                self.owed.release(*terms);
                Outcome::Failed(LedgerError::Unavailable)
            }
            _ => Outcome::Failed(LedgerError::Unavailable),
        }
    }

    /// A command that fails by itself, on the truth: a defect of ours. A settle is kept for a person to look at.
    fn give_up(&self, command: &Command, trouble: &Trouble) -> Outcome {
        tracing::error!(?command, ?trouble, "a ledger command can't be written");
        metrics::counter!("tollgate_ledger_defects_total").increment(1);
        if let Command::Close { terms, closing: Closing::Settle { record, upon: Upon::Hold | Upon::Answer } } = command {
            self.owed.set_aside(terms, record);
        }
        Outcome::Failed(LedgerError::Unavailable)
    }

    async fn look_after(&mut self) {
        self.connect_if_due().await;
        let Some(connected) = self.connected.as_mut() else { return };
        match guarded(connected.heartbeat()).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!("this replica's slot was taken over; it takes another");
                self.disconnect();
            }
            Err(trouble) => {
                tracing::warn!(?trouble, "no heartbeat");
                self.disconnect();
            }
        }
        self.pay_what_is_owed().await;
        if Instant::now() >= self.next_anchor {
            self.next_anchor = Instant::now() + ANCHOR_EVERY;
            self.anchor();
        }
    }

    async fn connect_if_due(&mut self) {
        if self.connected.is_none() && Instant::now() >= self.next_try {
            self.reconnect().await;
        }
    }

    fn disconnect(&mut self) {
        self.connected = None;
        self.next_try = Instant::now() + RECONNECT_REST;
    }

    /// Drops the connection and opens a new one. What is owed is paid before anything else is served, and before a dead
    /// process's holds are released: some of them are what it is paid from.
    async fn reconnect(&mut self) {
        self.disconnect();
        match Connected::open(&self.options.store, &self.options.instance, self.place).await {
            Ok(connected) => {
                let place = connected.place();
                self.connected = Some(connected);
                self.pay_what_is_owed().await;
                self.release_orphans(place).await;
            }
            Err(error) => tracing::warn!(%error, "the ledger can't reach the database"),
        }
    }

    /// The place counts as this process's own only when nothing of its former owner is open any more.
    async fn release_orphans(&mut self, place: (i32, i64)) {
        let Some(connected) = self.connected.as_mut() else { return };
        let released = guarded(connected.release_orphans(&self.options.store, &*self.options.clock, &self.desk)).await;
        if let Err(trouble) = &released {
            tracing::warn!(?trouble, "a dead process's holds could not be released yet");
        }
        match released {
            Err(Trouble::Away | Trouble::Panicked) => self.disconnect(),
            // Holds that the database won't release are the keeper's when their time is over.
            Ok(()) | Err(Trouble::Stale | Trouble::Refused(_)) => self.place = Some(place),
        }
    }

    async fn pay_what_is_owed(&mut self) {
        let at = now(&*self.options.clock);
        while let Some(connected) = self.connected.as_mut() {
            let part = self.owed.next();
            if part.is_empty() {
                return;
            }
            let commands: Vec<&Command> = part.iter().collect();
            let mut outcomes = Vec::new();
            match guarded(connected.write_exactly(&commands, at, &self.desk, &mut outcomes)).await {
                Ok(()) => {
                    for (command, outcome) in part.iter().zip(outcomes) {
                        if let Outcome::Failed(error) = outcome {
                            self.give_up(command, &Trouble::Refused(error.to_string()));
                        }
                    }
                    self.owed.paid(part.len());
                }
                Err(Trouble::Away) => {
                    tracing::warn!("what is owed could not be written yet");
                    self.disconnect();
                }
                Err(trouble) => {
                    self.narrow_down(&part, &trouble);
                    if trouble == Trouble::Panicked {
                        self.disconnect();
                    }
                }
            }
        }
    }

    /// Something in what is owed can't be written: it is set aside when it stands alone, so that it does not bar the way.
    fn narrow_down(&mut self, part: &[Command], trouble: &Trouble) {
        if let [guilty] = part {
            self.give_up(guilty, trouble);
            self.owed.paid(1);
        } else {
            self.owed.halve();
        }
    }

    fn anchor(&self) {
        if let Some(connected) = &self.connected {
            owed::write_anchor(&self.options.data_dir, &connected.anchor());
        }
    }
}

const fn is_settled(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Settled(_))
}

/// Was the settle's hold granted, in full? `None` when it is not among what was decided before.
fn was_held<'a>(settle: &Command, mut decided: impl Iterator<Item = (&'a Command, &'a Outcome)>) -> Option<bool> {
    let Command::Close { terms: Terms { hold, amount, .. }, .. } = settle else { return None };
    let (_, outcome) = decided.find(|(command, _)| matches!(command, Command::Hold { terms, .. } if terms.hold == *hold))?;
    match outcome {
        // Put off as well: nobody knows.
        Outcome::Failed(LedgerError::Unavailable) => None,
        decided => Some(*decided == Outcome::Held { granted: *amount }),
    }
}

/// Why a batch was not written.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// No connection, or a lost one: whether the batch was committed is not known.
    Away,
    /// Beliefs were wrong; nothing was written.
    Stale,
    /// The database refuses the statement, or deciding it panicked.
    Refused(String),
    Panicked,
}

impl Trouble {
    /// The batch may have been committed.
    const fn leaves_open(&self) -> bool {
        matches!(self, Self::Away | Self::Panicked)
    }
}

impl From<tollgate_store::ledger::WriteError> for Trouble {
    fn from(error: tollgate_store::ledger::WriteError) -> Self {
        match error {
            tollgate_store::ledger::WriteError::Stale => Self::Stale,
            tollgate_store::ledger::WriteError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Away,
            other => Self::Refused(other.to_string()),
        }
    }
}

/// Runs a step so that a panic in it is a trouble like any other.
async fn guarded<T>(step: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    AssertUnwindSafe(step).catch_unwind().await.unwrap_or(Err(Trouble::Panicked))
}

/// The clock's time as PostgreSQL keeps it, in whole microseconds.
fn now(clock: &dyn Clock) -> DateTime<Utc> {
    clock.now().trunc_subsecs(6)
}

/// The accounts of the house, by name.
pub fn house_ids(house: &tollgate_store::ledger::House) -> HouseIds {
    use super::messages::Asset;
    let mut ids = HouseIds::default();
    for kind in ["revenue", "grants", "clearing", "refunds"] {
        for asset in [Asset::Usd, Asset::Tokens] {
            if let Some(row) = house.get(&(kind.to_owned(), asset.as_str().to_owned())) {
                ids.insert(kind, asset, row.id);
            }
        }
    }
    ids
}
