//! Where HTTP is served, and to whom.

use super::{ConfigError, Reader};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tollgate_actors::ledger::OPEN_HOLDS_MAX;

/// `BIND_ADDR`, `HTTP_WORKERS`, `MAX_CONNECTIONS`, `MAX_CALLS`, `PUBLIC_URL`, `CORS_ORIGINS`, `TRUSTED_PROXIES`, `DATA_DIR`.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// `BIND_ADDR`, 127.0.0.1:8000; port 0 picks a free one.
    pub bind_addr: SocketAddr,
    /// `HTTP_WORKERS`: threads that serve HTTP. Default: one per core.
    pub workers: usize,
    /// `MAX_CONNECTIONS`, 25,000: open ones of each worker; more wait in the kernel's queue.
    pub connections_max: usize,
    /// `MAX_CALLS`, 16,384: completions under way at once, each with its hold and its buffers. Who comes beyond is told 503.
    pub calls_max: usize,
    /// `PUBLIC_URL`: how the world reaches us, in links. Default: the address that is served.
    pub public_url: Option<String>,
    /// `CORS_ORIGINS`, any.
    pub cors_origins: CorsOrigins,
    /// `TRUSTED_PROXIES`, none: addresses or networks whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// `DATA_DIR`, `.data`: what the server keeps on disk (journal, private PostgreSQL, demo secrets).
    pub data_dir: PathBuf,
}

/// Which web pages may call us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    Any,
    Only(Vec<String>),
}

impl ServerSettings {
    pub(crate) fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            bind_addr: env.parsed(
                "BIND_ADDR",
                SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
                "an address and a port such as 127.0.0.1:8000",
            )?,
            workers: env.number("HTTP_WORKERS", cores, 1..=1_024)?,
            connections_max: env.number("MAX_CONNECTIONS", 25_000, 1..=1_000_000)?,
            calls_max: env.number("MAX_CALLS", OPEN_HOLDS_MAX, 1..=OPEN_HOLDS_MAX)?,
            public_url: env.http_url("PUBLIC_URL")?,
            cors_origins: read_origins(env)?,
            trusted_proxies: env.list("TRUSTED_PROXIES").iter().map(|entry| network(entry)).collect::<Result<_, _>>()?,
            data_dir: env.text("DATA_DIR").unwrap_or_else(|| ".data".to_owned()).into(),
        })
    }
}

fn read_origins(env: &Reader<'_>) -> Result<CorsOrigins, ConfigError> {
    let origins = env.list("CORS_ORIGINS");
    if origins.is_empty() || origins.iter().any(|origin| origin == "*") {
        return Ok(CorsOrigins::Any);
    }
    origins.iter().try_for_each(|origin| check_origin(origin))?;
    Ok(CorsOrigins::Only(origins))
}

/// Browsers send scheme, host and port, nothing behind: an entry with a path would never match.
fn check_origin(origin: &str) -> Result<(), ConfigError> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let is_origin = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', '*']))
        && origin.parse::<actix_web::http::Uri>().is_ok();
    if is_origin {
        Ok(())
    } else {
        Err(ConfigError::wrong("CORS_ORIGINS", origin, "origins such as https://app.example.com, or *"))
    }
}

fn network(entry: &str) -> Result<IpNet, ConfigError> {
    let single = entry.parse::<IpAddr>().map(IpNet::from);
    single
        .or_else(|_| entry.parse::<IpNet>())
        .map_err(|_| ConfigError::wrong("TRUSTED_PROXIES", entry, "addresses or networks such as 10.0.0.0/8"))
}
