//! The ledger's face: starts the writer and the keeper, and ends them in order.
//!
//! Money does not pass through its mailbox: the handle puts commands straight into the writer's queue. The actor is there to be
//! supervised and drained; a panic in it leaves both tasks running.

use super::command::Envelope;
use super::handle::{Desk, Ledger};
use super::keeper;
use super::writer::{Database, Writer, WriterOptions};
use crate::runtime::{Drain, Handle, Supervision};
use actix::{Actor, Context, Handler, ResponseFuture, Supervised};
use actix_rt::ArbiterHandle;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A writer that ends by a panic of its own rests this long before it is started again.
const WRITER_REST: Duration = Duration::from_millis(10);
/// The mailbox carries drains and crashes only.
const MAILBOX: usize = 16;

/// What the ledger needs.
pub type LedgerOptions = WriterOptions;

/// The started ledger.
pub struct LedgerService {
    pub ledger: Ledger,
    pub actor: Handle<LedgerActor>,
    /// Resolves when the writer has its first connection and what a former run left is put right.
    pub ready: oneshot::Receiver<()>,
}

/// Starts the ledger. Its tasks run on the store's I/O runtime, beside the connections.
///
/// # Errors
/// The journal can't be opened: another server uses the same data folder, or the disk refuses.
pub fn start(arbiter: &ArbiterHandle, supervision: &Supervision, options: LedgerOptions) -> std::io::Result<LedgerService> {
    let (desk, queue) = Desk::new();
    let ledger = Ledger::new(Arc::clone(&desk), options.store.clone(), options.open_max);
    let writer = Writer::new(options.clone(), Arc::clone(&desk))?;
    let (tell_ready, ready) = oneshot::channel();
    let stop = CancellationToken::new();
    let io = options.store.io().clone();
    let writing = io.spawn(write_until_stopped(writer, queue, stop.clone(), tell_ready));
    let keeping = io.spawn(keeper::run(options, desk));
    let actor = crate::runtime::start(arbiter, "ledger", MAILBOX, supervision, move |_| LedgerActor {
        stop,
        writing: Some(writing),
        keeping,
    });
    Ok(LedgerService { ledger, actor, ready })
}

/// Runs the writer until the queue is closed and empty. A panic outside a batch restarts it with the same state.
pub async fn write_until_stopped<D: Database>(
    mut writer: Writer<D>,
    mut queue: mpsc::Receiver<Envelope>,
    stop: CancellationToken,
    ready: oneshot::Sender<()>,
) {
    let mut ready = Some(ready);
    loop {
        let run = AssertUnwindSafe(writer.run(&mut queue, &mut ready, &stop)).catch_unwind();
        if run.await.is_ok() {
            return;
        }
        tracing::error!("the ledger's writer panicked and goes on");
        metrics::counter!("tollgate_actor_restarts_total", "actor" => "ledger-writer").increment(1);
        tokio::time::sleep(WRITER_REST).await;
    }
}

/// The face.
pub struct LedgerActor {
    stop: CancellationToken,
    writing: Option<JoinHandle<()>>,
    keeping: JoinHandle<()>,
}

impl Actor for LedgerActor {
    type Context = Context<Self>;
}

impl Supervised for LedgerActor {}

crate::crashable!(LedgerActor);

impl Handler<Drain> for LedgerActor {
    type Result = ResponseFuture<()>;

    /// Writes what is queued, then ends the writer. Drain it after everyone who may still settle.
    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.keeping.abort();
        self.stop.cancel();
        let writing = self.writing.take();
        Box::pin(async move {
            if let Some(writing) = writing
                && writing.await.is_err()
            {
                tracing::error!("the ledger's writer did not end by itself");
            }
        })
    }
}
