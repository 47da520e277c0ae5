//! The I/O runtime: it drives the database's connections and migrates.

use anyhow::Context;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that drive the database's connections. One keeps up with the ledger's writer and the pool; the second is for when
/// the first is parsing a large answer.
const IO_THREADS: usize = 2;

/// One small multi-thread runtime. It may be dropped anywhere, which tokio's own may not.
pub(crate) struct IoRuntime(Option<Runtime>, Handle);

impl IoRuntime {
    pub fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(IO_THREADS).thread_name("io").enable_all().build();
        let runtime = runtime.context("the I/O runtime does not start")?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }

    pub const fn handle(&self) -> &Handle {
        &self.1
    }

    /// Ends it; what runs on it has that long. The wait blocks, which an async context does not allow: so it is on a thread
    /// of its own.
    pub async fn stop(mut self, limit: Duration) -> bool {
        let Some(runtime) = self.0.take() else { return true };
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(limit)).await.is_ok()
    }
}

impl Drop for IoRuntime {
    /// After a start that failed: nothing on it is worth waiting for.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
