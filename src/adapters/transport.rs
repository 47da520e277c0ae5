//! The connections over which completions travel. Lists, tokens and everything that is rare go over [`super::client`]; a
//! completion is the hot path, and reqwest parses and clones per request what is the same for all of them.

use super::AdapterError;
use super::settings::TimeoutSettings;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::{Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Providers close idle connections after a minute or more; one that we close first can't fail a call.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(50);
/// Idle connections kept per provider and worker: what a burst of streams leaves behind.
pub(super) const POOL_IDLE_MAX: usize = 256;
pub(super) const KEEPALIVE: Duration = Duration::from_secs(30);

/// The connections of one HTTP worker: a connection is driven by the runtime that opened it, so that a stream stays on its
/// thread. Clones share them.
///
/// No redirect is followed, no proxy of the environment is asked, nothing is unpacked, and nothing is sent twice that a
/// provider may have seen. HTTP/2 where TLS agrees on it, else HTTP/1.1. The time-out of connecting is the only one.
#[derive(Clone)]
pub struct Transport {
    client: Client<InTime<HttpsConnector<HttpConnector>>, Full<Bytes>>,
}

impl Transport {
    /// # Errors
    /// When the machine's root certificates can't be read.
    pub fn new(timeouts: &TimeoutSettings) -> Result<Self, AdapterError> {
        // Without a provider rustls panics. `main` has installed it; a test that has no `main` gets it here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = ClientConfig::with_platform_verifier().map_err(AdapterError::Certificates)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(POOL_IDLE_MAX)
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(KEEPALIVE)
            .http2_keep_alive_timeout(timeouts.connect)
            .http2_adaptive_window(true)
            .build(InTime { inner: https, limit: timeouts.connect });
        Ok(Self { client })
    }

    /// Sends a request; resolves with the answer's head.
    ///
    /// # Errors
    /// No connection, or none that spoke HTTP.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        self.client.request(request).await
    }
}

/// The connection was not there in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no connection in time")]
pub(super) struct ConnectTimedOut;

/// Bounds the whole of connecting: name, TCP and TLS.
#[derive(Clone)]
struct InTime<C> {
    inner: C,
    limit: Duration,
}

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
    C::Response: Read + Write + Connection + Send + Unpin + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<C::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.limit, self.inner.call(uri));
        async move { connecting.await.map_err(|_| BoxError::from(ConnectTimedOut))? }.boxed()
    }
}
