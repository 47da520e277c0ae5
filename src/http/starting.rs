//! What is served while the server migrates and starts: 503 with `Retry-After`, and a health page that says so.

use super::error::ApiError;
use super::frame::{self, Frame};
use crate::config::CorsOrigins;
use crate::startup::Readiness;
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

/// Migrations that take longer are rare; who waits for one may ask again at leisure.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The stand-in for the server in the time before it is ready.
pub struct Starting {
    handle: ServerHandle,
    ended: tokio::task::JoinHandle<io::Result<()>>,
}

impl Starting {
    /// Serves on a clone of the listener.
    ///
    /// # Errors
    /// The listener can't be cloned or registered.
    pub fn serve(listener: &TcpListener, origins: &CorsOrigins) -> io::Result<Self> {
        let origins = origins.clone();
        let server = HttpServer::new(move || {
            let frame = Frame::new(rand::random(), &origins, Readiness::default(), None);
            App::new()
                .route("/health", web::get().to(health))
                .default_service(web::to(not_yet))
                .wrap(from_fn(move |request, next| frame::frame(Rc::clone(&frame), request, next)))
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener.try_clone()?)?
        .run();
        Ok(Self { handle: server.handle(), ended: actix_rt::spawn(server) })
    }

    /// Ends when those who are being answered have their answer.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        let _ = self.ended.await;
    }
}

/// Closed after it, so that a kept connection does not end up at a server that is gone.
async fn not_yet() -> Result<HttpResponse, ApiError> {
    Err(ApiError::unavailable(RETRY_AFTER)
        .with_message("The server is starting, please retry")
        .with_header("connection", "close"))
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().insert_header(("connection", "close")).json(serde_json::json!({
        "status": "unhealthy", "app": "tollgate", "database": "disconnected", "gatewayz": "unknown", "openrouter": "unknown",
        "error": "The server is starting",
    }))
}
