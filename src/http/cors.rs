//! Which web pages may call us (decision 18): any origin without credentials, or those of `CORS_ORIGINS`.

use crate::config::CorsOrigins;
use actix_cors::Cors;
use actix_web::http::header::HeaderName;

/// Our answers' headers that a page's script may read.
const EXPOSED: [&str; 15] = [
    "x-request-id",
    "x-generation-id",
    "x-max-tokens-lowered",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "x-trial-expired",
    "x-trial-end-date",
    "x-trial-remaining-tokens",
    "x-trial-remaining-requests",
    "x-trial-remaining-credits",
    "retry-after",
];

/// Browsers may keep a preflight's answer for an hour: after a change of `CORS_ORIGINS` that is soon enough.
const PREFLIGHT_SECONDS: usize = 3_600;

/// The middleware of one HTTP worker.
pub fn cors(origins: &CorsOrigins) -> Cors {
    let base = Cors::default()
        .allow_any_method()
        .allow_any_header()
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(PREFLIGHT_SECONDS);
    match origins {
        // Never together with credentials: every page on the web could act as our user.
        CorsOrigins::Any => base.allow_any_origin().send_wildcard(),
        CorsOrigins::Only(list) => list.iter().fold(base, |cors, origin| cors.allowed_origin(origin)),
    }
}
