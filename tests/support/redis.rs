//! A real Redis for one test.

use super::{TestFolder, free_address};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server of its own, without persistence. It ends with this value, and with the test's thread however that ends.
pub struct TestRedis {
    pub address: SocketAddr,
    folder: TestFolder,
    server: Option<Child>,
}

impl TestRedis {
    pub fn start() -> Self {
        let mut redis = Self { address: free_address(), folder: TestFolder::create(), server: None };
        redis.revive();
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// Starts it, empty, at the same address.
    pub fn revive(&mut self) {
        let (port, folder) = (self.address.port().to_string(), &self.folder.path);
        let server = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "redis-server", "--bind", "127.0.0.1", "--port", &port, "--save", "", "--dir"])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn();
        self.server = Some(server.expect("redis-server runs: Debian's package redis-server"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < deadline, "Redis does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        self.kill();
    }
}
