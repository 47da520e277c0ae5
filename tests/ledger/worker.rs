//! The worker process from the outside, and the caller's log of what it acknowledged.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tollgate_actors::ledger::UserAccounts;
use uuid::Uuid;

/// What was tried and what was acknowledged, in all lives of the worker.
#[derive(Default)]
pub struct Log {
    /// Whose hold it is.
    pub tried: HashMap<Uuid, i64>,
    pub held: HashSet<Uuid>,
    pub settled: HashSet<Uuid>,
    pub drained: bool,
}

impl Log {
    fn note(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (said, id) = (words.next().unwrap(), words.next().map(|id| Uuid::parse_str(id).expect("a whole line")));
        match (said, id) {
            ("try", Some(id)) => drop(self.tried.insert(id, words.next().unwrap().parse().unwrap())),
            ("held", Some(id)) => drop(self.held.insert(id)),
            ("settled", Some(id)) => drop(self.settled.insert(id)),
            ("drained", None) => self.drained = true,
            _ => panic!("the worker says {line:?}"),
        }
    }
}

pub struct Worker {
    child: Child,
    reading: Option<std::thread::JoinHandle<()>>,
}

impl Worker {
    pub fn start(url: &str, data_dir: &Path, users: &[UserAccounts], log: &Arc<Mutex<Log>>) -> Self {
        let user = |it: &UserAccounts| format!("{}:{}:{}", it.user.0, it.credits.0, it.debt.0);
        let mut child = Command::new(env!("CARGO_BIN_EXE_ledger-worker"))
            .args([url, data_dir.to_str().unwrap()])
            .args(users.iter().map(user))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the worker starts");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let log = Arc::clone(log);
        let reading = std::thread::spawn(move || lines.for_each(|line| log.lock().unwrap().note(&line.unwrap())));
        Self { child, reading: Some(reading) }
    }

    /// With SIGKILL. What it said before is in the log when this returns.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reading.take().unwrap().join().unwrap();
    }

    /// Closes its stdin, and waits until it has drained.
    pub fn stop(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        self.reading.take().unwrap().join().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
