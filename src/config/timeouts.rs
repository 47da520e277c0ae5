//! How long anyone is waited for (decision 18). All in seconds.

use super::{ConfigError, Reader};
use std::time::Duration;

/// `CONNECT_TIMEOUT`, `FIRST_BYTE_TIMEOUT`, `BETWEEN_BYTES_TIMEOUT`, `TOTAL_TIMEOUT` upstream; `HEAD_TIMEOUT`,
/// `BODY_TIMEOUT`, `WRITE_TIMEOUT`, `KEEP_ALIVE_TIMEOUT`, `DRAIN_TIMEOUT` for our own clients: the first two and `KEEP_ALIVE_TIMEOUT`
/// are up to an eighth longer, each time anew, lest a crowd is cut at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutSettings {
    /// `CONNECT_TIMEOUT`, 5.
    pub connect: Duration,
    /// `FIRST_BYTE_TIMEOUT`, 120: to the head of the answer.
    pub first_byte: Duration,
    /// `BETWEEN_BYTES_TIMEOUT`, 60.
    pub between_bytes: Duration,
    /// `TOTAL_TIMEOUT`, 900: of one upstream call.
    pub total: Duration,
    /// `HEAD_TIMEOUT`, 10: for a request's head. Like the next one and `KEEP_ALIVE_TIMEOUT` up to an eighth later for each connection.
    pub head: Duration,
    /// `BODY_TIMEOUT`, 60: for a request's body, in all.
    pub body: Duration,
    /// `WRITE_TIMEOUT`, 30: for a client that does not read its stream.
    pub write: Duration,
    /// `KEEP_ALIVE_TIMEOUT`, 75: an idle connection is kept so long.
    pub keep_alive: Duration,
    /// `DRAIN_TIMEOUT`, 30: for running answers when the server is told to stop.
    pub drain: Duration,
}

impl TimeoutSettings {
    pub(super) fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            connect: env.seconds("CONNECT_TIMEOUT", 5, 0..=300)?,
            first_byte: env.seconds("FIRST_BYTE_TIMEOUT", 120, 0..=3_600)?,
            between_bytes: env.seconds("BETWEEN_BYTES_TIMEOUT", 60, 0..=3_600)?,
            total: env.seconds("TOTAL_TIMEOUT", 900, 0..=86_400)?,
            head: env.seconds("HEAD_TIMEOUT", 10, 0..=300)?,
            body: env.seconds("BODY_TIMEOUT", 60, 0..=3_600)?,
            write: env.seconds("WRITE_TIMEOUT", 30, 0..=3_600)?,
            keep_alive: env.seconds("KEEP_ALIVE_TIMEOUT", 75, 0..=3_600)?,
            drain: env.seconds("DRAIN_TIMEOUT", 30, 0..=3_600)?,
        })
    }
}
