use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder for one test, removed with it.
#[derive(Debug)]
pub struct TestFolder {
    pub path: PathBuf,
}

impl TestFolder {
    pub fn create() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("tollgate-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self { path }
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
