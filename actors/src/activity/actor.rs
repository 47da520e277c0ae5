//! The face of the activity log: starts the writer and ends it in order. Rows do not pass through its mailbox.

use super::writer::Writer;
use super::{Activity, ActivityRow, ActivityTable, JOURNAL_BYTES_MAX, QUEUE_MAX};
use crate::journal::Journal;
use crate::ports::Clock;
use crate::runtime::{self, Drain, Handle, Supervision};
use actix::{Actor, Context, Handler, ResponseFuture, Supervised};
use actix_rt::ArbiterHandle;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A writer that ends by a panic rests this long before it goes on.
const WRITER_REST: Duration = Duration::from_millis(10);
/// The mailbox carries drains and crashes only.
const MAILBOX: usize = 16;

/// What the activity log works with.
pub struct ActivityDeps {
    /// The store, outside tests.
    pub table: Arc<dyn ActivityTable>,
    pub clock: Arc<dyn Clock>,
    /// Where the writer runs.
    pub io: tokio::runtime::Handle,
}

/// The started log.
pub struct ActivityService {
    pub activity: Activity,
    pub actor: Handle<ActivityActor>,
}

/// Starts the log. What a former run left in its journal (in `data_dir`) lands first.
///
/// # Errors
/// The journal can't be opened: another server uses the same folder, or the disk refuses.
pub fn start(
    arbiter: &ArbiterHandle,
    supervision: &Supervision,
    deps: ActivityDeps,
    data_dir: &Path,
) -> std::io::Result<ActivityService> {
    std::fs::create_dir_all(data_dir)?;
    let journal = Journal::open(&data_dir.join("activity.journal"), JOURNAL_BYTES_MAX)?;
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    let stop = CancellationToken::new();
    let writer = Writer::new(deps.table, deps.clock, journal);
    let writing = deps.io.spawn(write_until_stopped(writer, queue, stop.clone()));
    let actor =
        runtime::start(arbiter, "activity", MAILBOX, supervision, move |_| ActivityActor { stop, writing: Some(writing) });
    Ok(ActivityService { activity: Activity { queue: sender }, actor })
}

/// A panic restarts the writer with the same state. One of the table's does not come here: it is the writer's to bear.
async fn write_until_stopped(mut writer: Writer, mut queue: mpsc::Receiver<ActivityRow>, stop: CancellationToken) {
    while AssertUnwindSafe(writer.run(&mut queue, &stop)).catch_unwind().await.is_err() {
        tracing::error!("the activity log's writer panicked and goes on");
        metrics::counter!("tollgate_actor_restarts_total", "actor" => "activity-writer").increment(1);
        tokio::time::sleep(WRITER_REST).await;
    }
}

/// The face.
pub struct ActivityActor {
    stop: CancellationToken,
    writing: Option<JoinHandle<()>>,
}

impl Actor for ActivityActor {
    type Context = Context<Self>;
}

impl Supervised for ActivityActor {}

crate::crashable!(ActivityActor);

impl Handler<Drain> for ActivityActor {
    type Result = ResponseFuture<()>;

    /// Writes what is queued, then ends the writer. Drain it after everyone who may still record.
    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.stop.cancel();
        let writing = self.writing.take();
        Box::pin(async move {
            if let Some(writing) = writing
                && writing.await.is_err()
            {
                tracing::error!("the activity log's writer did not end by itself");
            }
        })
    }
}
