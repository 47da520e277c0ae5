//! The `tollgate` binary as a process of its own.

use super::{TestDatabase, TestFolder, environment};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Runs it to its end with this environment only.
pub fn run(arguments: &[&str], env: &HashMap<String, String>) -> Output {
    command(arguments, env).output().expect("the binary runs")
}

fn command(arguments: &[&str], env: &HashMap<String, String>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(arguments).env_clear().envs(env).stdin(Stdio::null());
    if let Ok(path) = std::env::var("PATH") {
        command.env("PATH", path);
    }
    command
}

/// A server's process; killed when dropped.
pub struct Served {
    child: Child,
    log: Option<JoinHandle<String>>,
    /// Where it serves, once it has said so.
    pub address: SocketAddr,
}

impl Served {
    /// Starts `tollgate serve` and waits until it says where.
    pub fn start(database: &TestDatabase, folder: &TestFolder, provider_url: &str, further: &[(&str, &str)]) -> Self {
        let mut env = environment(database, folder, provider_url);
        env.extend(further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut served = Self::spawn(&["serve"], &env);
        served.await_address();
        served
    }

    /// Starts these arguments with this environment, and does not wait.
    pub fn spawn(arguments: &[&str], env: &HashMap<String, String>) -> Self {
        let mut child = command(arguments, env).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, log: Some(log), address: SocketAddr::from(([0, 0, 0, 0], 0)) }
    }

    /// Reads what it prints until it says where it serves; all of that is returned.
    pub fn await_address(&mut self) -> Vec<String> {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut read = Vec::new();
        for line in lines.by_ref() {
            let address = line.split("erves at http://").nth(1).or_else(|| line.split("erving at http://").nth(1));
            let address = address.and_then(|rest| rest.split([',', '/', ' ']).next()?.parse().ok());
            read.push(line);
            if let Some(address) = address {
                self.address = address;
                break;
            }
        }
        if self.address.port() == 0 {
            let _ = self.child.kill();
            panic!("the server did not say where it serves: {}", self.log.take().unwrap().join().unwrap());
        }
        // Read on, so that the server never waits for a reader.
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || lines.for_each(|line| drop(tell.send(line))));
        while let Ok(line) = told.recv_timeout(Duration::from_millis(300)) {
            read.push(line);
        }
        read
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// Waits for its end; panics after that time. With what it has logged.
    pub fn wait(mut self, limit: Duration) -> (ExitStatus, String) {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, self.log.take().unwrap().join().unwrap());
            }
            assert!(Instant::now() < deadline, "the server still runs after {limit:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
