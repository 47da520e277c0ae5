//! The I/O runtimes: they drive the database's connections, and one of them migrates.

use anyhow::Context;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// A multi-thread runtime of one thread: threads of one runtime wake each other for nothing. It may be dropped anywhere, which
/// tokio's own may not.
pub(crate) struct IoRuntime(Option<Runtime>, Handle);

impl IoRuntime {
    /// Starts it; `name` is its thread's.
    pub fn start(name: &'static str) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build();
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
