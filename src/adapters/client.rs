//! The one place where HTTP clients are built.

use super::transport::{KEEPALIVE, POOL_IDLE, POOL_IDLE_MAX, Transport};
use super::{AdapterError, TimeoutSettings};
use reqwest::redirect::Policy;

/// The clients of one HTTP worker.
#[derive(Clone)]
pub struct Client {
    /// For what is asked rarely.
    pub(super) rare: reqwest::Client,
    /// For completions.
    pub(super) calls: Transport,
}

impl Client {
    /// # Errors
    /// When the machine's root certificates can't be read.
    pub fn build(timeouts: &TimeoutSettings) -> Result<Self, AdapterError> {
        Ok(Self { calls: Transport::new(timeouts)?, rare: build(timeouts)? })
    }
}

/// It follows no redirect (a provider's answer must not choose where our key goes), asks no proxy of the environment,
/// keeps no cookies, unpacks nothing, and sends nothing twice that a provider may have seen. HTTP/2 where TLS agrees on it,
/// else HTTP/1.1. Time-outs other than `connect` are the caller's: the client's own can't tell a slow answer from a slow
/// stream.
///
/// # Errors
/// When the machine's root certificates can't be read.
pub(super) fn build(timeouts: &TimeoutSettings) -> Result<reqwest::Client, AdapterError> {
    // Without a provider reqwest panics. `main` has installed it; a test that has no `main` gets it here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(timeouts.connect)
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .tcp_nodelay(true)
        .tcp_keepalive(KEEPALIVE)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_MAX)
        .http2_keep_alive_interval(KEEPALIVE)
        .http2_keep_alive_timeout(timeouts.connect)
        .http2_adaptive_window(true)
        .build()
        .map_err(AdapterError::Client)
}
