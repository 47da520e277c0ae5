//! The connections over which completions travel. Lists, tokens and everything that is rare go over [`super::client`].
//!
//! Not over a client of a library, for two reasons that were measured. Such a client opens a connection whenever none is idle,
//! takes the first one that another call gives back, and finishes opening in vain: under overload nearly every call opens one. And it
//! drives each connection in a task of its own, which is woken and wakes twice for a call.
//!
//! HTTP itself is hyper's: what is here is who gets which connection.

mod answer;
mod destination;
mod line;

#[cfg(test)]
mod tests;

pub(super) use answer::AnswerBody;
pub(super) use destination::Destination;

use super::AdapterError;
use super::settings::TimeoutSettings;
use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;
use std::future::poll_fn;
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Providers close idle connections after a minute or more; one that we close first can't fail a call.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(50);
/// Idle connections kept per provider and worker: what a burst leaves behind, and the next one needs again.
pub(super) const POOL_IDLE_MAX: usize = 1_024;
pub(super) const KEEPALIVE: Duration = Duration::from_secs(30);

/// Why there is no head of an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("no connection in time")]
    ConnectTimedOut,
    #[error("no connection")]
    Connect(#[source] BoxError),
    #[error("no answer")]
    Exchange(#[from] hyper::Error),
}

/// Opens connections.
///
/// No redirect is followed, no proxy of the environment is asked, nothing is unpacked, and nothing is sent twice that a
/// provider may have seen. HTTP/2 where TLS agrees on it, else HTTP/1.1. The time-out of connecting is the only one.
#[derive(Clone)]
pub struct Transport {
    connector: HttpsConnector<HttpConnector>,
    connect_limit: Duration,
}

impl Transport {
    /// # Errors
    /// When the machine's root certificates can't be read.
    pub fn new(timeouts: &TimeoutSettings) -> Result<Self, AdapterError> {
        // Without a provider rustls panics. `main` has installed it; a test that has no `main` gets it here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = ClientConfig::with_platform_verifier().map_err(AdapterError::Certificates)?;
        Ok(Self::with_tls(tls, timeouts.connect))
    }

    fn with_tls(tls: ClientConfig, connect_limit: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        Self { connector, connect_limit }
    }

    /// The whole of connecting: name, TCP and TLS.
    async fn connect(&self, uri: &Uri) -> Result<Stream, SendError> {
        let mut connector = self.connector.clone();
        poll_fn(|context| connector.poll_ready(context)).await.map_err(SendError::Connect)?;
        connector.call(uri.clone()).await.map_err(SendError::Connect)
    }
}
