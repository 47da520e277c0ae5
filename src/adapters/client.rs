//! The one place where HTTP clients are built.

use super::{AdapterError, TimeoutSettings};
use reqwest::redirect::Policy;
use std::time::Duration;

/// Providers close idle connections after a minute or more; one that we close first can't fail a call.
const POOL_IDLE: Duration = Duration::from_secs(50);
/// Idle connections kept per provider and worker: what a burst of streams leaves behind.
const POOL_IDLE_MAX: usize = 256;
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// A client for one HTTP worker: a connection is driven by the runtime that opened it, so that a stream stays on its
/// thread.
///
/// It follows no redirect (a provider's answer must not choose where our key goes), asks no proxy of the environment,
/// keeps no cookies, unpacks nothing, and sends nothing twice that a provider may have seen. HTTP/2 where TLS agrees on it,
/// else HTTP/1.1. Time-outs other than `connect` are the caller's: the client's own can't tell a slow answer from a slow
/// stream.
///
/// # Errors
/// When the machine's root certificates can't be read.
pub fn build(timeouts: &TimeoutSettings) -> Result<reqwest::Client, AdapterError> {
    // Without a provider reqwest panics. `main` has installed it; a test that has no `main` gets it here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .tcp_nodelay(true)
        .tcp_keepalive(TCP_KEEPALIVE)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_MAX)
        .http2_keep_alive_interval(TCP_KEEPALIVE)
        .http2_keep_alive_timeout(timeouts.connect)
        .http2_adaptive_window(true)
        .build()
        .map_err(AdapterError::Client)
}
