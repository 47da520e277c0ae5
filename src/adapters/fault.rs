//! What an HTTP client's error means for a call.

use super::transport::SendError;
use rustix::io::Errno;
use std::error::Error;
use std::io;
use tollgate_actors::ports::{GatewayError, Phase};

/// Why there is no head of an answer.
pub(super) fn of_call(error: &SendError) -> GatewayError {
    match error {
        SendError::ConnectTimedOut => GatewayError::Timeout(Phase::Connect),
        SendError::Connect(_) => sorted(error, true),
        SendError::Exchange(_) => sorted(error, false),
    }
}

/// Likewise, for what is asked rarely.
pub(super) fn of_rare_call(error: &reqwest::Error) -> GatewayError {
    // The client has no other time-out than the one for connecting.
    if error.is_timeout() { GatewayError::Timeout(Phase::Connect) } else { sorted(error, error.is_connect()) }
}

/// Why a body broke.
pub(super) fn of_body(error: &(dyn Error + 'static)) -> GatewayError {
    sorted(error, false)
}

/// Sorts the error by its innermost cause. The text holds no URL: a gateway's may hold a secret.
fn sorted(error: &(dyn Error + 'static), in_connecting: bool) -> GatewayError {
    if in_connecting && let Some(shortage) = causes(error).find_map(shortage_of_ours) {
        return GatewayError::Exhausted(shortage.to_string());
    }
    let text = causes(error).last().map_or_else(|| "no further cause".to_owned(), ToString::to_string);
    // A certificate that is refused is malformed data to rustls, and no connection to us.
    if !in_connecting && causes(error).any(is_no_http) {
        return GatewayError::Malformed(text);
    }
    GatewayError::Connection(text)
}

/// The error and what caused it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| (*cause).source())
}

/// The system's word that this process, or the machine, has no more of what a connection needs.
fn shortage_of_ours(cause: &(dyn Error + 'static)) -> Option<Errno> {
    let errno = Errno::from_io_error(cause.downcast_ref::<io::Error>()?)?;
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL | Errno::NOBUFS | Errno::NOMEM).then_some(errno)
}

/// Bytes came, and they are not HTTP.
fn is_no_http(cause: &(dyn Error + 'static)) -> bool {
    let not_parsed = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
    // How hyper says that a chunk's size is no number.
    let bad_chunk = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    not_parsed || matches!(bad_chunk, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData))
}
