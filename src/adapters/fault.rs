//! What an HTTP client's error means for a call.

use std::error::Error;
use std::io;
use tollgate_actors::ports::{GatewayError, Phase};

/// Sorts the error by its innermost cause. The text holds no URL: a gateway's may hold a secret.
pub(super) fn gateway_error(error: &reqwest::Error) -> GatewayError {
    // The client has no other time-out than the one for connecting.
    if error.is_timeout() {
        return GatewayError::Timeout(Phase::Connect);
    }
    let causes = || std::iter::successors(error.source(), |cause| (*cause).source());
    let text = causes().last().map_or_else(|| "no further cause".to_owned(), ToString::to_string);
    // A certificate that is refused is malformed data to rustls, and no connection to us.
    if !error.is_connect() && causes().any(is_no_http) {
        return GatewayError::Malformed(text);
    }
    GatewayError::Connection(text)
}

/// Bytes came, and they are not HTTP.
fn is_no_http(cause: &(dyn Error + 'static)) -> bool {
    let not_parsed = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
    // How hyper says that a chunk's size is no number.
    let bad_chunk = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    not_parsed || matches!(bad_chunk, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData))
}
