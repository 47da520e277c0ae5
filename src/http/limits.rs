//! Reading a request's body within bounds of size and time. actix has the first, not the second: a body of one byte per
//! second would hold its connection for ever.

use super::crowd::spread;
use super::error::ApiError;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use std::time::Duration;

/// Shorter bodies are copied out of the connection's buffer.
const COPIED_BYTES_MAX: usize = 4_096;

/// The bounds of a request's body; in the app's data.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    pub bytes: usize,
    /// From the head to the last byte, and up to an eighth more.
    pub deadline: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { bytes: 32 << 20, deadline: Duration::from_secs(60) }
    }
}

/// The body's bytes, read within the bounds.
pub struct RawBody(pub Bytes);

impl FromRequest for RawBody {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limits = request.app_data::<BodyLimits>().copied().unwrap_or_default();
        let announced = announced_length(request);
        let payload = payload.take();
        if is_encoded(request) {
            return Box::pin(async { Err(encoded()) });
        }
        Box::pin(async move { read(payload, announced, limits).await.map(Self) })
    }
}

fn announced_length(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_encoded(request: &HttpRequest) -> bool {
    request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity" && !encoding.is_empty())
}

/// We unpack nothing: a kilobyte may unpack to a gigabyte.
fn encoded() -> ApiError {
    ApiError::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .with_message("The body must not be compressed: send no Content-Encoding")
}

async fn read(payload: Payload, announced: Option<usize>, limits: BodyLimits) -> Result<Bytes, ApiError> {
    if announced.is_some_and(|length| length > limits.bytes) {
        return Err(too_large(limits.bytes));
    }
    match tokio::time::timeout(spread(limits.deadline), collect(payload, announced, limits.bytes)).await {
        Ok(body) => body,
        Err(_) => Err(ApiError::of_status(StatusCode::REQUEST_TIMEOUT).with_header("connection", "close")),
    }
}

async fn collect(mut payload: Payload, announced: Option<usize>, bytes_max: usize) -> Result<Bytes, ApiError> {
    let first = match payload.next().await {
        None => return Ok(Bytes::new()),
        Some(Ok(piece)) if announced == Some(piece.len()) => return Ok(apart(piece)),
        Some(piece) => piece.map_err(broken)?,
    };
    let mut body = BytesMut::from(first);
    while body.len() <= bytes_max {
        match payload.next().await {
            None => return Ok(body.freeze()),
            Some(piece) => body.extend_from_slice(&piece.map_err(broken)?),
        }
    }
    Err(too_large(bytes_max))
}

/// Most bodies come in one piece, a part of the connection's read buffer. A call that kept it would keep all of that buffer, 8 KiB,
/// for as long as a stream lasts, and the connection would get another one; a long body is most of its buffer.
fn apart(piece: Bytes) -> Bytes {
    if piece.len() < COPIED_BYTES_MAX { Bytes::copy_from_slice(&piece) } else { piece }
}

fn too_large(bytes_max: usize) -> ApiError {
    ApiError::of_status(StatusCode::PAYLOAD_TOO_LARGE).with_message(format!("The request body is larger than {bytes_max} bytes"))
}

/// The client stopped in the middle, or its framing is wrong: its own doing in every case. Where the next request begins can't
/// be known.
fn broken(error: PayloadError) -> ApiError {
    ApiError::bad_request("The request body did not arrive in full").with_cause(&error).with_header("connection", "close")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    const LIMITS: BodyLimits = BodyLimits { bytes: 10, deadline: Duration::from_millis(50) };

    fn payload(pieces: &'static [&'static [u8]], then_stalls: bool) -> Payload {
        let sent = stream::iter(pieces.iter().map(|piece| Ok(Bytes::from_static(piece))));
        match then_stalls {
            true => Payload::Stream { payload: Box::pin(sent.chain(stream::pending())) },
            false => Payload::Stream { payload: Box::pin(sent) },
        }
    }

    async fn status(payload: Payload, announced: Option<usize>) -> u16 {
        read(payload, announced, LIMITS).await.map_or_else(|error| error.status().as_u16(), |_| 200)
    }

    #[actix_web::test]
    async fn a_body_within_the_bounds_is_read_in_full() {
        assert_eq!(read(payload(&[b"0123", b"456789"], false), None, LIMITS).await.unwrap(), "0123456789");
        assert_eq!(read(payload(&[b"0123"], false), Some(4), LIMITS).await.unwrap(), "0123");
        assert_eq!(read(payload(&[], false), None, LIMITS).await.unwrap(), "");
    }

    #[actix_web::test]
    async fn a_body_above_the_bound_is_413_announced_or_not() {
        assert_eq!(status(payload(&[], true), Some(11)).await, 413);
        assert_eq!(status(payload(&[b"01234567890"], true), None).await, 413);
        assert_eq!(status(payload(&[b"01234", b"567890"], true), None).await, 413);
    }

    #[actix_web::test]
    async fn a_body_that_stalls_is_408() {
        assert_eq!(status(payload(&[b"012"], true), Some(10)).await, 408);
    }
}
