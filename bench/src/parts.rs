//! The processes of a run. Each ends with the value that stands for it.

use crate::http::call;
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ADMIN_KEY: &str = "bench-admin-0123456789-abcdefghij";
const KEY_PEPPER: &str = "v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The durable cluster of this run.
pub fn database_url() -> Result<String> {
    std::env::var("BENCH_DATABASE_URL").context("BENCH_DATABASE_URL is not set: `make bench` sets it")
}

/// Ends its process when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The stand-in provider.
pub struct Sim {
    pub port: u16,
    _process: Process,
}

impl Sim {
    pub fn start() -> Result<Self> {
        let mut child = Command::new(beside("sim")?)
            .args(["--bind", "127.0.0.1:0", "--threads", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .context("sim")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("sim's output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok()).context("sim printed no port")?;
        Ok(Self { port, _process: Process(child) })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/chat/completions", self.port)
    }

    /// How it answers from now on: the words of its behaviours.
    pub fn behave(&self, words: &str) -> Result<()> {
        let change = serde_json::json!({"default_behaviour": words}).to_string();
        call(self.port, "POST", "/sim/control", None, &change).map(drop)
    }
}

/// A bare reverse proxy with one worker.
pub struct Nginx {
    port: u16,
    folder: PathBuf,
    _process: Process,
}

impl Nginx {
    pub fn start(upstream: u16) -> Result<Self> {
        let port = free_port()?;
        let folder = std::env::temp_dir().join(format!("tollgate-bench-nginx-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let config = folder.join("nginx.conf");
        let at = folder.display();
        std::fs::write(
            &config,
            format!(
                "worker_processes 1; daemon off; pid {at}/pid; error_log stderr crit;
                 events {{ worker_connections 4096; }}
                 http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/f;
                   uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; keepalive_requests 1000000000;
                   upstream sim {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
                   server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://sim; proxy_http_version 1.1;
                     proxy_set_header Connection \"\"; proxy_buffering off; }} }} }}"
            ),
        )?;
        let program = ["nginx", "/usr/sbin/nginx"].into_iter().find(|name| Command::new(name).arg("-v").output().is_ok());
        let child = Command::new(program.context("nginx is not installed: Debian's package nginx-light")?)
            .arg("-c")
            .arg(&config)
            .args(["-p", &folder.to_string_lossy()])
            .stderr(Stdio::null())
            .spawn()?;
        wait_for(port)?;
        Ok(Self { port, folder, _process: Process(child) })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/chat/completions", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master takes its worker with it only when it is asked to end, not when it is killed.
        if let Ok(pid) = std::fs::read_to_string(self.folder.join("pid")) {
            let _ = Command::new("kill").arg(pid.trim()).status();
            std::thread::sleep(Duration::from_millis(300));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The server, with everything on.
pub struct Server {
    pub port: u16,
    process: Process,
    environment: Vec<(&'static str, String)>,
    data_dir: PathBuf,
}

impl Server {
    pub fn start(database_url: &str, sim: u16) -> Result<Self> {
        let port = free_port()?;
        let data_dir = std::env::temp_dir().join(format!("tollgate-bench-data-{}", std::process::id()));
        std::fs::create_dir_all(&data_dir)?;
        let environment = vec![
            ("BIND_ADDR", format!("127.0.0.1:{port}")),
            ("DATABASE_URL", database_url.to_owned()),
            ("DATABASE_ADMIN_URL", database_url.to_owned()),
            ("DATA_DIR", data_dir.to_string_lossy().into_owned()),
            ("ADMIN_API_KEY", ADMIN_KEY.to_owned()),
            ("KEY_PEPPER", KEY_PEPPER.to_owned()),
            ("OPENROUTER_API_KEY", "sim".to_owned()),
            ("OPENROUTER_BASE_URL", format!("http://127.0.0.1:{sim}/api/v1")),
            ("RUST_LOG", "warn".to_owned()),
            ("REGISTER_PER_HOUR", "0".to_owned()),
            // Counted, not met: all of a run comes from one user at one address.
            ("PLAN_LIMITS", "off".to_owned()),
            ("RATE_LIMIT_ADDRESS_PER_MINUTE", "1000000000".to_owned()),
        ];
        let child = Command::new(beside("tollgate")?).arg("serve").envs(environment.iter().cloned()).spawn()?;
        let server = Self { port, process: Process(child), environment, data_dir };
        server.wait_until_ready()?;
        Ok(server)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A user who can pay for the whole run. Returns the key.
    pub fn paying_user(&self) -> Result<String> {
        // One run after the other finds the database of the one before.
        let name = format!("bench{}", std::process::id());
        let user = serde_json::json!({"username": name, "email": format!("{name}@example.com")}).to_string();
        let user = call(self.port, "POST", "/auth/register", None, &user)?;
        let user: serde_json::Value = serde_json::from_str(&user)?;
        let key = user.get("api_key").and_then(|key| key.as_str()).context("no key")?.to_owned();
        let credits = serde_json::json!({"api_key": key, "credits": 1_000_000, "reason": "bench"}).to_string();
        call(self.port, "POST", "/admin/add_credits", Some(ADMIN_KEY), &credits)?;
        // Far above what a run asks for: the limits are counted, not met.
        let limits = serde_json::json!({"api_key": key, "rate_limits": {
            "requests_per_minute": 1_000_000_000, "requests_per_hour": 1_000_000_000, "requests_per_day": 1_000_000_000,
            "tokens_per_minute": 1_000_000_000_000_i64, "tokens_per_hour": 1_000_000_000_000_i64,
            "tokens_per_day": 1_000_000_000_000_i64, "burst_limit": 1_000_000, "concurrency_limit": 100_000}});
        call(self.port, "POST", "/admin/limit", Some(ADMIN_KEY), &limits.to_string())?;
        Ok(key)
    }

    /// CPU time of the server's process so far.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(&Path::new("/proc").join(self.process.0.id().to_string()))
    }

    /// CPU time of PostgreSQL's processes so far, those of the machine's all clusters.
    pub fn database_cpu(&self) -> Result<Duration> {
        let mut total = Duration::ZERO;
        for entry in std::fs::read_dir("/proc")? {
            let path = entry?.path();
            // A process may end while it is looked at.
            if std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "postgres") {
                total += cpu_of(&path).unwrap_or_default();
            }
        }
        Ok(total)
    }

    pub fn memory_peak_mib(&self) -> Result<u64> {
        Ok(self.memory_kib("VmHWM:")? / 1024)
    }

    /// Resident memory now.
    pub fn memory_now_kib(&self) -> Result<u64> {
        self.memory_kib("VmRSS:")
    }

    fn memory_kib(&self, name: &'static str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context(name)?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
    }

    /// Commands that shared a commit of the ledger, on average.
    pub fn mean_batch(&self) -> Result<f64> {
        let metrics = call(self.port, "GET", "/metrics", Some(ADMIN_KEY), "")?;
        let read = |name: &str| {
            metrics.lines().find_map(|line| line.strip_prefix(name)).and_then(|value| value.trim().parse::<f64>().ok())
        };
        let (sum, count) = (read("tollgate_ledger_batch_commands_sum"), read("tollgate_ledger_batch_commands_count"));
        Ok(sum.unwrap_or(0.0) / count.unwrap_or(1.0))
    }

    /// Ends the server in order and proves its books.
    pub fn stop_and_verify(self) -> Result<String> {
        let Self { mut process, environment, data_dir, .. } = self;
        ensure!(Command::new("kill").arg(process.0.id().to_string()).status()?.success(), "the server could not be asked to end");
        let ended = process.0.wait()?;
        ensure!(ended.success(), "the server ended with {ended}");
        let proof = Command::new(beside("tollgate")?).args(["ledger", "verify"]).envs(environment).output()?;
        std::fs::remove_dir_all(data_dir)?;
        Ok(String::from_utf8_lossy(&proof.stdout).into_owned())
    }

    fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if call(self.port, "GET", "/ready", None, "").is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the server is not ready after a minute")
    }
}

/// User and system time, of `proc/<pid>/stat` in hundredths of a second (`sysconf(_SC_CLK_TCK)` is 100 on Linux).
fn cpu_of(process: &Path) -> Result<Duration> {
    let stat = std::fs::read_to_string(process.join("stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("stat")?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// A program of this workspace, built with the same profile.
fn beside(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is not built", path.display());
    Ok(path)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn wait_for(port: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(Instant::now() < deadline, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
