//! The HTTP server around the routes: sockets, limits, middlewares.

use super::connection::{Patience, Turns, Watched};
use super::fallback::{Allowed, unknown_route};
use super::frame::{self, Frame};
use super::limits::BodyLimits;
use super::openapi::Document;
use super::root::RootPage;
use super::routes;
use crate::adapters::Gateways;
use crate::config::TimeoutSettings;
use crate::startup::Services;
use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use anyhow::Context;
use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use utoipa_actix_web::AppExt;

/// Connections that the kernel keeps for us; it cuts this to its own `somaxconn`.
const BACKLOG: u32 = 4_096;

/// Bytes that the kernel keeps of an answer before it sends them. Left alone it takes over 2 MB of each that nobody reads, and
/// copying them is what other calls would wait for.
const UNSENT_MAX_BYTES: u32 = 128 * 1_024;

/// For a client that does not close its side after our last answer.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For a deadline that is switched off.
const FOREVER: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Threads for blocking calls, of each HTTP worker. Nothing of a chat completion blocks.
const BLOCKING_THREADS: usize = 8;

/// Binds the address.
///
/// # Errors
/// One line that names the setting: the address is taken or not ours.
pub fn bind(address: SocketAddr, write_timeout: Duration) -> anyhow::Result<TcpListener> {
    listen(address, write_timeout).map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            io::ErrorKind::PermissionDenied => "this user may not listen there".to_owned(),
            _ => error.to_string(),
        };
        anyhow::anyhow!("BIND_ADDR: got \"{address}\", wants a free address ({reason})")
    })
}

fn listen(address: SocketAddr, write_timeout: Duration) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    // A restart must not wait for the kernel to forget the last server's connections.
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit both.
    let options = socket2::SockRef::from(&socket);
    // The kernel cuts clients that take nothing in. actix waits for them for ever.
    options.set_tcp_user_timeout(Some(write_timeout))?;
    options.set_tcp_notsent_lowat(UNSENT_MAX_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Starts serving all routes. The returned server must be polled.
///
/// What actix-web's own `HttpServer` does, but over a socket that watches its client.
///
/// # Errors
/// The listener can't be registered.
pub fn serve(listener: TcpListener, services: &web::Data<Services>) -> anyhow::Result<Server> {
    let settings = &services.settings;
    let (server, timeouts) = (&settings.server, settings.timeouts);
    let builder = Server::build()
        .workers(server.workers)
        .max_concurrent_connections(server.connections_max)
        .worker_max_blocking_threads(BLOCKING_THREADS)
        .shutdown_timeout(timeouts.drain.as_secs().max(1))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let services = services.clone();
    let connections = move || {
        let stopping = stopping.clone();
        let app = app(&services).into_factory().map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            // The socket's to say, as below.
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .keep_alive(keep_alive(&timeouts))
            .on_connect_ext(Watched::introduce)
            .finish(map_config(app, |()| AppConfig::default()));
        let (patience, turns) = (patience(&timeouts), Turns::default());
        fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            ready(Ok::<_, DispatchError>((Watched::new(stream, patience, turns.clone()), Protocol::Http1, peer)))
        })
        .and_then(http)
    };
    Ok(builder.listen("http", listener, connections).context("the listener can't be served")?.run())
}

fn patience(timeouts: &TimeoutSettings) -> Patience {
    let head = if timeouts.head.is_zero() { FOREVER } else { timeouts.head };
    Patience { head, idle: timeouts.keep_alive }
}

/// How long is the socket's to say: actix would end a connection whose next request has arrived but was not read yet, and make a
/// timer for each answer.
const fn keep_alive(timeouts: &TimeoutSettings) -> KeepAlive {
    if timeouts.keep_alive.is_zero() { KeepAlive::Disabled } else { KeepAlive::Os }
}

/// One worker's app: its own upstream clients, its own counters.
fn app(
    services: &web::Data<Services>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    let settings = &services.settings;
    let readiness = services.readiness.clone();
    let frame = Frame::new(rand::random(), &settings.server.cors_origins, readiness, Some(services.clone()));
    let (app, api) = App::new().into_utoipa_app().openapi(super::openapi::base()).configure(routes::all).split_for_parts();
    app.app_data(services.clone())
        .app_data(web::Data::new(gateways(services)))
        .app_data(BodyLimits { bytes: settings.limits.body_bytes_max, deadline: settings.timeouts.body })
        .app_data(web::Data::new(Document::of(&api)))
        .app_data(web::Data::new(RootPage::of(&api)))
        .app_data(web::Data::new(Allowed::of(&api)))
        .default_service(web::to(unknown_route))
        .wrap(from_fn(move |request, next| frame::frame(Rc::clone(&frame), request, next)))
}

/// Built on the worker's own thread. The same settings were tried at the start, so this does not fail.
fn gateways(services: &Services) -> Gateways {
    let settings = &services.settings;
    Gateways::build(&settings.adapter_gateways(), settings.adapter_timeouts(), &services.clock).unwrap_or_else(|error| {
        tracing::error!(%error, "a worker has no model gateways");
        Gateways::of(Vec::new())
    })
}
