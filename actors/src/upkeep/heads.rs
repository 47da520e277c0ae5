//! The head of the audit trail, written down where a superuser of the database does not reach: in the log, and in a file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tollgate_store::Store;
use tollgate_store::audit::{self, AuditHead};

pub(super) struct Heads {
    store: Store,
    file: PathBuf,
    /// The one that was written down last.
    last: Mutex<Option<AuditHead>>,
}

impl Heads {
    pub(super) fn new(store: Store, data_dir: &Path) -> Self {
        Self { store, file: data_dir.join("audit.heads"), last: Mutex::default() }
    }

    /// Writes the head down if it is another than last time.
    pub(super) async fn write_down(&self) {
        let head = match audit::head(&self.store).await {
            Ok(Some(head)) => head,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "the head of the audit trail is not written down yet"),
        };
        let before = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(head);
        if before == Some(head) {
            return;
        }
        tracing::info!(target: "tollgate::anchor", %head, "audit head");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.file);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{head}")) {
            tracing::error!(%error, path = %self.file.display(), "a head of the audit trail could not be written down");
        }
    }
}
