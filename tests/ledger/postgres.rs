//! A PostgreSQL of the test's own, with fsync on, that may be killed.

use std::path::PathBuf;
use std::process::Command;

/// Ends with this process at the latest.
pub struct PrivatePostgres {
    /// The superuser's address.
    pub url: String,
}

impl PrivatePostgres {
    pub fn start() -> Self {
        let said = script("start");
        let url = said.trim().strip_prefix("TEST_DURABLE_DATABASE_URL=").expect("the address").to_owned();
        Self { url }
    }

    /// The postmaster dies by SIGKILL; its backends notice and leave.
    pub fn kill(&self) {
        script("kill");
    }

    /// At the same address; tries until the old backends have left.
    pub fn start_again(&self) {
        script("revive");
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        script("stop");
    }
}

/// This process owns the cluster.
fn script(command: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dev");
    let mut run = Command::new(folder.join("test-postgres.sh"));
    run.arg(command).args(["--owner", &std::process::id().to_string()]);
    if command != "stop" {
        run.arg("--durable");
    }
    let output = run.output().expect("the script runs");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
