//! Which web pages may call us (decision 18): any origin, or those of `CORS_ORIGINS`; never with credentials, as cookies are
//! nothing to us and every page on the web could act with them.

use crate::config::CorsOrigins;
use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};

/// Our answers' headers that a page's script may read.
const EXPOSED: &str = "x-request-id, x-generation-id, x-max-tokens-lowered, idempotent-replayed, retry-after, x-should-retry, \
    x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-ratelimit-tier, \
    x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, \
    x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, \
    x-trial-expired, x-trial-end-date, x-trial-remaining-tokens, x-trial-remaining-requests, x-trial-remaining-credits";

/// Browsers may keep a preflight's answer for an hour: after a change of `CORS_ORIGINS` that is soon enough.
const PREFLIGHT_SECONDS: &str = "3600";

/// The rule of one HTTP worker. A request that no page has sent costs one look at its headers.
pub struct Cors {
    /// `None`: any.
    only: Option<Vec<HeaderValue>>,
}

/// What a request is granted.
pub enum Grant {
    /// No page has sent it, or one that may not call us: the browser keeps the answer from it.
    Nothing,
    Any,
    Origin(HeaderValue),
}

impl Cors {
    pub fn new(origins: &CorsOrigins) -> Self {
        let only = match origins {
            CorsOrigins::Any => None,
            CorsOrigins::Only(list) => Some(list.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect()),
        };
        Self { only }
    }

    /// What the headers of a request earn its answer.
    pub fn grant(&self, headers: &HeaderMap) -> Grant {
        match (headers.get(ORIGIN), &self.only) {
            (None, _) => Grant::Nothing,
            (Some(_), None) => Grant::Any,
            (Some(origin), Some(only)) if only.contains(origin) => Grant::Origin(origin.clone()),
            (Some(_), Some(_)) => Grant::Nothing,
        }
    }

    /// Puts the grant on an answer.
    pub fn mark(&self, grant: Grant, headers: &mut HeaderMap) {
        if self.only.is_some() {
            // Caches must not give one page the answer that was granted to another.
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        let origin = match grant {
            Grant::Nothing => return,
            Grant::Any => HeaderValue::from_static("*"),
            Grant::Origin(origin) => origin,
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}

/// A browser's question before the request itself.
pub fn is_preflight(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers a preflight, for every path and method, as the request is checked anyway.
/// Without an `Access-Control-Allow-Origin` beside, the rest of the answer grants nothing.
pub fn preflight(request: &ServiceRequest) -> Option<HttpResponse> {
    let method = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| is_preflight(request))?;
    let mut answer = HttpResponse::NoContent();
    answer
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, method.clone()))
        .insert_header((ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS));
    // `*` would not cover Authorization.
    if let Some(asked) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.insert_header((ACCESS_CONTROL_ALLOW_HEADERS, asked.clone()));
    }
    Some(answer.finish())
}
