//! What every answer gets, whatever the door: its request's id, the envelope of its path for an error, a line in the log, a
//! count. The one middleware of our own that every request passes.

use super::error::{ApiError, Envelope};
use super::request_id::{RequestId, RequestIds, X_REQUEST_ID};
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse};
use metrics::{Counter, Histogram};
use std::rc::Rc;
use std::time::Instant;

/// The frame's own state, one per HTTP worker.
pub struct Frame {
    ids: RequestIds,
    meters: Meters,
}

impl Frame {
    /// `worker` is random: the workers' ids must differ.
    pub fn new(worker: u64) -> Rc<Self> {
        Rc::new(Self { ids: RequestIds::new(worker), meters: Meters::new() })
    }
}

/// Wraps a request and its answer.
///
/// # Errors
/// What the services inside could not turn into an answer.
pub async fn frame<B: MessageBody>(
    frame: Rc<Frame>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let started = Instant::now();
    let id = frame.ids.of(request.headers());
    request.extensions_mut().insert(id.clone());
    tracing::debug!(request_id = id.as_str(), "received");
    let response = next.call(request).await?;
    frame.meters.record(response.status(), started);
    let mut response = match refusal(&response) {
        Some(error) => show(response, &error, &id),
        None => response.map_into_left_body(),
    };
    let (method, path) = (response.request().method(), response.request().path());
    tracing::debug!(request_id = id.as_str(), %method, path, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, id.header().clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// The error behind an answer; one of actix's own is told by its status.
enum Refusal {
    Ours,
    Actix(ApiError),
}

fn refusal<B>(response: &ServiceResponse<B>) -> Option<Refusal> {
    let error = response.response().error()?;
    Some(match error.as_error::<ApiError>() {
        Some(_) => Refusal::Ours,
        None => Refusal::Actix(ApiError::of_status(response.status())),
    })
}

/// Renders the error in the envelope of the request's path; headers that inner services have put on (CORS) stay.
fn show<B: MessageBody>(response: ServiceResponse<B>, refusal: &Refusal, id: &RequestId) -> ServiceResponse<EitherBody<B>> {
    let (request, before) = response.into_parts();
    let error = match refusal {
        Refusal::Actix(error) => Some(error),
        Refusal::Ours => before.error().and_then(|error| error.as_error::<ApiError>()),
    };
    let Some(error) = error else { return ServiceResponse::new(request, before.map_into_left_body()) };
    log(error, request.method(), request.path(), id);
    let mut answer: HttpResponse<BoxBody> = error.render(Envelope::of(request.path()), Some(id.as_str()));
    let kept: Vec<(HeaderName, HeaderValue)> = before
        .headers()
        .iter()
        .filter(|(name, _)| !answer.headers().contains_key(*name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (name, value) in kept {
        answer.headers_mut().append(name, value);
    }
    ServiceResponse::new(request, answer.map_into_right_body())
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
