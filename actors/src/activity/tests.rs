use super::writer::Writer;
use super::*;
use crate::journal::Journal;
use crate::ports::SystemClock;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tollgate_domain::UserId;
use tollgate_store::StoreError;
use uuid::Uuid;

/// A table in memory: it can be away, lose an answer, panic, and refuses rows whose details are no JSON.
#[derive(Default)]
struct Table {
    is_away: AtomicBool,
    loses_answers: AtomicBool,
    panics_once: AtomicBool,
    landed: Mutex<HashSet<Uuid>>,
    rows: Mutex<Vec<i64>>,
    statements: AtomicUsize,
}

impl ActivityTable for Table {
    fn insert<'a>(&'a self, id: Uuid, _: DateTime<Utc>, rows: &'a [ActivityRow]) -> BoxFuture<'a, Result<(), StoreError>> {
        assert!(!self.panics_once.swap(false, Ordering::SeqCst), "the table panics");
        assert!(rows.iter().all(|row| row.details != "poison"), "the table panics at a row");
        let away = || StoreError::Unavailable("away".to_owned());
        let outcome = if self.is_away.load(Ordering::SeqCst) {
            Err(away())
        } else if rows.iter().any(|row| row.details == "bad") {
            Err(StoreError::Constraint { constraint: "jsonb".to_owned() })
        } else {
            self.statements.fetch_add(1, Ordering::SeqCst);
            if self.landed.lock().unwrap().insert(id) {
                self.rows.lock().unwrap().extend(rows.iter().map(|row| row.user.0));
            }
            if self.loses_answers.load(Ordering::SeqCst) { Err(away()) } else { Ok(()) }
        };
        async move { outcome }.boxed()
    }
}

/// A writer with a journal of its own.
struct Bench {
    table: Arc<Table>,
    path: PathBuf,
    journal_bytes_max: u64,
}

struct Running {
    activity: Activity,
    stop: CancellationToken,
    writing: tokio::task::JoinHandle<()>,
}

impl Bench {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tollgate-activity-{name}-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        Self { table: Arc::default(), path, journal_bytes_max: JOURNAL_BYTES_MAX }
    }

    fn start(&self, queue_max: usize) -> Running {
        let (sender, mut queue) = mpsc::channel(queue_max);
        let journal = Journal::open(&self.path, self.journal_bytes_max).unwrap();
        let table: Arc<dyn ActivityTable> = self.table.clone();
        let mut writer = Writer::new(table, Arc::new(SystemClock), journal);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let writing = tokio::spawn(async move { writer.run(&mut queue, &stopped).await });
        Running { activity: Activity { queue: sender }, stop, writing }
    }

    fn rows(&self) -> Vec<i64> {
        let mut rows = self.table.rows.lock().unwrap().clone();
        rows.sort_unstable();
        rows
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

impl Running {
    async fn drained(self) {
        self.stop.cancel();
        self.writing.await.unwrap();
    }
}

fn row(number: i64) -> ActivityRow {
    ActivityRow {
        user: UserId(number),
        action: USER_LOGIN.into(),
        model: "openai/gpt-4".to_owned(),
        provider: "OpenAI".into(),
        details: "{}".to_owned(),
        at: DateTime::UNIX_EPOCH,
        call: None,
    }
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..500 {
        if what() {
            return;
        }
        sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("did not happen in ten seconds");
}

#[tokio::test]
async fn a_drain_writes_all_that_was_taken_in_few_statements() {
    let bench = Bench::new("drain");
    let running = bench.start(QUEUE_MAX);
    for number in 0..5_000 {
        running.activity.record(row(number)).unwrap();
    }
    running.drained().await;
    assert_eq!(bench.rows(), (0..5_000).collect::<Vec<_>>());
    assert!(bench.table.statements.load(Ordering::SeqCst) <= 7);
}

#[tokio::test]
async fn what_happened_while_the_database_was_away_lands_once_when_it_is_back() {
    let bench = Bench::new("away");
    let running = bench.start(QUEUE_MAX);
    // The first batch lands, but the answer is lost: it must not land again.
    bench.table.loses_answers.store(true, Ordering::SeqCst);
    running.activity.record(row(0)).unwrap();
    until(|| bench.rows() == [0]).await;
    bench.table.is_away.store(true, Ordering::SeqCst);
    bench.table.loses_answers.store(false, Ordering::SeqCst);
    for number in 1..10 {
        running.activity.record(row(number)).unwrap();
    }
    until(|| running.activity.queued() == 0).await;
    assert_eq!(bench.rows(), [0]);
    bench.table.is_away.store(false, Ordering::SeqCst);
    until(|| bench.rows().len() >= 10).await;
    running.drained().await;
    assert_eq!(bench.rows(), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_journal_of_a_former_run_lands_after_a_restart() {
    let bench = Bench::new("restart");
    bench.table.is_away.store(true, Ordering::SeqCst);
    let running = bench.start(QUEUE_MAX);
    running.activity.record(row(7)).unwrap();
    running.drained().await;
    assert!(bench.rows().is_empty());
    bench.table.is_away.store(false, Ordering::SeqCst);
    let next = bench.start(QUEUE_MAX);
    until(|| bench.rows() == [7]).await;
    next.drained().await;
    bench.start(QUEUE_MAX).drained().await;
    assert_eq!(bench.rows(), [7]);
}

#[tokio::test]
async fn a_full_journal_holds_rows_back_and_loses_none() {
    let mut bench = Bench::new("full");
    bench.journal_bytes_max = 300;
    bench.table.is_away.store(true, Ordering::SeqCst);
    let running = bench.start(4);
    let (mut taken, mut refused_in_a_row) = (0, 0);
    // Longer than a batch lingers: the writer holds one, the queue is full, and nothing moves.
    while refused_in_a_row < 30 {
        match running.activity.record(row(taken)) {
            Ok(()) => (taken, refused_in_a_row) = (taken + 1, 0),
            Err(Overloaded) => {
                refused_in_a_row += 1;
                sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        assert!(taken < 1_000, "a full journal must show at the door");
    }
    bench.table.is_away.store(false, Ordering::SeqCst);
    until(|| bench.rows().len() >= usize::try_from(taken).unwrap()).await;
    running.drained().await;
    assert_eq!(bench.rows(), (0..taken).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_row_that_the_table_refuses_takes_no_other_with_it() {
    let bench = Bench::new("bad");
    let running = bench.start(QUEUE_MAX);
    for number in 0..10 {
        let details = if number == 3 { "bad" } else { "{}" };
        running.activity.record(ActivityRow { details: details.to_owned(), ..row(number) }).unwrap();
    }
    running.drained().await;
    assert_eq!(bench.rows(), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn a_panic_loses_no_row_and_one_at_a_row_loses_only_that() {
    let bench = Bench::new("panic");
    bench.table.panics_once.store(true, Ordering::SeqCst);
    let running = bench.start(QUEUE_MAX);
    for number in 0..100 {
        let details = if number == 42 { "poison" } else { "{}" };
        running.activity.record(ActivityRow { details: details.to_owned(), ..row(number) }).unwrap();
    }
    running.drained().await;
    assert_eq!(bench.rows(), (0..100).filter(|number| *number != 42).collect::<Vec<_>>());
}
