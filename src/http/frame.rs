//! What every answer gets, whatever the door: its request's id, the envelope of its path for an error, the headers that web
//! pages need, a line in the log, a count. The only middleware: every layer costs each request an allocation and a hop.

use super::connection::Serving;
use super::cors::{self, Cors};
use super::error::{ApiError, Envelope};
use super::host;
use super::limit_headers;
use super::pace::Pace;
use super::request_id::{RequestId, RequestIds, X_REQUEST_ID};
use crate::config::CorsOrigins;
use crate::startup::{Readiness, Services};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use metrics::{Counter, Histogram};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The frame's own state, one per HTTP worker.
pub struct Frame {
    /// `None` while the server starts.
    services: Option<web::Data<Services>>,
    ids: RequestIds,
    cors: Cors,
    meters: Meters,
    readiness: Readiness,
    refusals: Pace,
}

impl Frame {
    /// `worker` is random: the workers' ids must differ.
    /// Without `services`, while the server starts, nothing is limited.
    pub fn new(worker: u64, origins: &CorsOrigins, readiness: Readiness, services: Option<web::Data<Services>>) -> Rc<Self> {
        let (ids, cors, meters) = (RequestIds::new(worker), Cors::new(origins), Meters::new());
        let refusals = Pace::new(Instant::now());
        Rc::new(Self { services, ids, cors, meters, readiness, refusals })
    }
}

/// Wraps a request and its answer.
///
/// # Errors
/// What the services inside could not turn into an answer.
pub async fn frame<B: MessageBody>(
    frame: Rc<Frame>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let started = Instant::now();
    let _serving = Serving::of(&request);
    let id = frame.ids.of(request.headers());
    request.extensions_mut().insert(id.clone());
    tracing::debug!(request_id = id.as_str(), "received");
    if request.method() == Method::HEAD {
        // Every GET route takes it; the connection knows what was asked, and leaves the body out.
        request.head_mut().method = Method::GET;
    }
    let grant = frame.cors.grant(request.headers());
    let mut response = match &frame.services {
        Some(services) => limited(services, request, next, &id).await?,
        None => answer(request, next, &id).await?,
    };
    let status = response.status();
    frame.meters.record(status, started);
    let (method, path) = (response.request().method(), response.request().path());
    tracing::debug!(request_id = id.as_str(), %method, path, status = status.as_u16(), "answered");
    if frame.readiness.is_ready() {
        let wait = if may_wait(&response) { frame.refusals.wait(status, Instant::now()) } else { Duration::ZERO };
        if !wait.is_zero() {
            sleep(wait).await;
        }
    } else {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, id.header().clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    frame.cors.mark(grant, headers);
    Ok(response)
}

/// Of probes nobody is kept waiting, and an answer that closes its connection waits for nothing: see `limit_headers`.
fn may_wait<B>(response: &ServiceResponse<B>) -> bool {
    response.request().path().starts_with("/v1/") && !limit_headers::closes(response.headers())
}

/// The answer of the request's door, unless no door need see it.
async fn answer<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
    id: &RequestId,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let answer = match cors::preflight(&request) {
        Some(answer) => answer,
        None if host::is_sound(request.headers()) => return Ok(show(next.call(request).await?, id)),
        None => host::refused().render(Envelope::of(request.path()), Some(id.as_str())),
    };
    Ok(request.into_response(answer).map_into_right_body())
}

/// Lets the request through to its door unless its address has sent too many; the answer says what is left.
async fn limited<B: MessageBody>(
    services: &Services,
    request: ServiceRequest,
    next: Next<B>,
    id: &RequestId,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let (mut response, address) = match limit_headers::admit(services, &request) {
        Ok(address) => (answer(request, next, id).await?, address),
        Err((address, error)) => {
            let answer = error.render(Envelope::of(request.path()), Some(id.as_str()));
            (request.into_response(answer).map_into_right_body(), Some(address))
        }
    };
    limit_headers::mark(services, &mut response, address).await;
    Ok(response)
}

/// Renders the error behind an answer, if there is one, in the envelope of the request's path.
fn show<B: MessageBody>(response: ServiceResponse<B>, id: &RequestId) -> ServiceResponse<EitherBody<B>> {
    let Some(error) = response.response().error() else { return response.map_into_left_body() };
    let (request, path) = (response.request(), response.request().path());
    let of_actix;
    let error = match error.as_error::<ApiError>() {
        Some(error) => error,
        None => {
            of_actix = ApiError::of_status(response.status());
            &of_actix
        }
    };
    log(error, request.method(), path, id);
    let answer = error.render(Envelope::of(path), Some(id.as_str()));
    response.into_response(answer).map_into_right_body()
}

/// 503s are at debug: under overload there are thousands a second, and whoever is overloaded or away says so itself.
fn log(error: &ApiError, method: &Method, path: &str, id: &RequestId) {
    let (status, cause, request_id) = (error.status(), error.cause(), id.as_str());
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::error!(request_id, %method, path, status = status.as_u16(), cause, message = error.message());
    } else {
        tracing::debug!(request_id, %method, path, status = status.as_u16(), cause, message = error.message());
    }
}

/// Handles of the metrics, looked up once per worker.
struct Meters {
    by_class: [Counter; 5],
    head_seconds: Histogram,
}

impl Meters {
    fn new() -> Self {
        let class = |name: &'static str| metrics::counter!("tollgate_http_requests_total", "status" => name);
        Self {
            by_class: [class("1xx"), class("2xx"), class("3xx"), class("4xx"), class("5xx")],
            head_seconds: metrics::histogram!("tollgate_http_head_seconds"),
        }
    }

    /// Time to the answer's head: a stream goes on after it.
    fn record(&self, status: StatusCode, started: Instant) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.by_class.get(class) {
            counter.increment(1);
        }
        self.head_seconds.record(started.elapsed());
    }
}
