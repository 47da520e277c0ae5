//! The answer's body on its way out: HTTP framing, pace, and the damage that works on bytes.

use super::behaviour::{Behaviour, Fault};
use super::http::{Conn, Gone};
use super::stats::Meter;
use std::io::Write;
use std::time::Duration;

/// Enough for the reader to see two writes as two reads.
const BETWEEN_SPLITS: Duration = Duration::from_millis(2);
/// Streams without pauses are written in pieces of about this size.
const FLUSH_BYTES: usize = 32 << 10;

/// Stands in built text for what `bad-utf8` writes instead: three bytes for three, so lengths stay true.
pub(super) const DAMAGE: char = '\u{fffd}';
const DAMAGED: [u8; 3] = [0xff, 0xfe, 0xff];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// The head has told the length.
    Length,
    Chunked,
}

pub(super) struct Body<'c> {
    conn: &'c mut Conn,
    framing: Framing,
    pace: Pace,
    damaged: bool,
    /// Not framed yet.
    waiting: Vec<u8>,
    meter: &'c Meter<'c>,
    /// Completion tokens among what waits.
    tokens_waiting: u64,
}

#[derive(Clone, Copy)]
enum Pace {
    AtOnce,
    ByteByByte(Duration),
    /// Every character above ASCII is cut in two.
    SplitCharacters,
}

impl<'c> Body<'c> {
    /// Continues the head that waits in the connection's `out`.
    pub fn new(conn: &'c mut Conn, framing: Framing, behaviour: &Behaviour, meter: &'c Meter<'_>) -> Self {
        let pace = match behaviour.byte_delay {
            Some(delay) => Pace::ByteByByte(delay),
            None if behaviour.framing.split_utf8 => Pace::SplitCharacters,
            None => Pace::AtOnce,
        };
        let damaged = behaviour.fault == Some(Fault::BadUtf8);
        Self { conn, framing, pace, damaged, waiting: Vec::new(), meter, tokens_waiting: 0 }
    }

    /// Adds bytes that go out with the next flush.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Counts tokens that were pushed, once they are written.
    pub const fn count(&mut self, tokens: u64) {
        self.tokens_waiting += tokens;
    }

    pub const fn waiting(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    /// Flushes when enough is waiting.
    pub async fn flush_if_full(&mut self) -> Result<(), Gone> {
        if self.waiting.len() >= FLUSH_BYTES { self.flush().await } else { Ok(()) }
    }

    pub async fn flush(&mut self) -> Result<(), Gone> {
        self.stage().await?;
        self.written().await
    }

    /// Flushes, then waits.
    pub async fn pause(&mut self, duration: Duration) -> Result<(), Gone> {
        if duration.is_zero() {
            return Ok(());
        }
        self.flush().await?;
        self.conn.pause(duration).await
    }

    /// Flushes, then says nothing more until the client goes.
    pub async fn silence(&mut self) -> Gone {
        match self.flush().await {
            Ok(()) => self.conn.until_gone().await,
            Err(gone) => gone,
        }
    }

    /// Ends the body as HTTP wants it, in one write with what was waiting.
    pub async fn end(mut self) -> Result<(), Gone> {
        self.stage().await?;
        if self.framing == Framing::Chunked {
            self.conn.out.extend_from_slice(b"0\r\n\r\n");
        }
        self.written().await
    }

    async fn written(&mut self) -> Result<(), Gone> {
        self.conn.flush().await?;
        self.meter.sent(std::mem::take(&mut self.tokens_waiting));
        Ok(())
    }

    /// Moves what waits into the connection's `out`, at the body's pace.
    async fn stage(&mut self) -> Result<(), Gone> {
        let mut bytes = std::mem::take(&mut self.waiting);
        if self.damaged {
            damage(&mut bytes);
        }
        match self.pace {
            Pace::AtOnce => self.frame(&bytes),
            Pace::ByteByByte(delay) => {
                for byte in bytes.chunks(1) {
                    self.send(byte, delay).await?;
                }
            }
            Pace::SplitCharacters => {
                for piece in bytes.split_inclusive(|byte| *byte >= 0xc0) {
                    self.send(piece, BETWEEN_SPLITS).await?;
                }
            }
        }
        bytes.clear();
        self.waiting = bytes;
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8], delay: Duration) -> Result<(), Gone> {
        self.conn.flush().await?;
        self.conn.pause(delay).await?;
        self.frame(bytes);
        self.conn.flush().await
    }

    fn frame(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.framing {
            Framing::Length => self.conn.out.extend_from_slice(bytes),
            Framing::Chunked => {
                // Writing to a Vec can't fail.
                let _ = write!(self.conn.out, "{:x}\r\n", bytes.len());
                self.conn.out.extend_from_slice(bytes);
                self.conn.out.extend_from_slice(b"\r\n");
            }
        }
    }
}

fn damage(bytes: &mut [u8]) {
    let mut mark = [0; 3];
    DAMAGE.encode_utf8(&mut mark);
    let mut rest = bytes;
    while let Some(at) = memchr::memmem::find(rest, &mark) {
        let (_, found) = rest.split_at_mut(at);
        let (marked, after) = found.split_at_mut(mark.len());
        marked.copy_from_slice(&DAMAGED);
        rest = after;
    }
}
