//! Server-sent events as they come: cut into whole frames, whatever the chunks they arrive in.
//!
//! Lines end in LF, CR LF or CR, an empty line ends a frame (WHATWG HTML, 9.2.6). Byte order marks at the start are dropped.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// Longest frame: above it there is a mistake or an attack.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A frame is longer than [`FRAME_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of more than {FRAME_BYTES_MAX} bytes")]
pub struct FrameTooLong;

/// One event, or comment, of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// As it came, with the empty line that ends it.
    pub raw: &'a [u8],
    /// Its `data` lines, joined by LF; `None` when there is none.
    pub data: Option<Cow<'a, [u8]>>,
}

/// Collects chunks and hands out frames.
#[derive(Debug, Default)]
pub struct Scanner {
    buffer: Vec<u8>,
    /// Where the frame, its last line, and what was not looked at yet begin.
    frame_at: usize,
    line_at: usize,
    search_at: usize,
    begun: bool,
    ended: bool,
}

impl Scanner {
    /// Takes the next chunk. Frames already handed out are forgotten.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.frame_at);
        self.line_at -= self.frame_at;
        self.search_at -= self.frame_at;
        self.frame_at = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// The stream is over. A last frame that lacks only its empty line is handed out by [`Self::next_frame`], too.
    pub fn end(&mut self) {
        self.ended = true;
        if self.frame_at < self.buffer.len() {
            self.push(b"\n\n");
        }
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// The frame that is under way is too long already.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameTooLong> {
        if !self.skip_byte_order_mark() {
            return Ok(None);
        }
        while let Some(line_end) = self.line_end() {
            let is_empty = line_end.start == self.line_at;
            (self.line_at, self.search_at) = (line_end.end, line_end.end);
            if is_empty {
                let frame = self.frame_at..self.line_at;
                self.frame_at = self.line_at;
                if frame.len() > FRAME_BYTES_MAX {
                    return Err(FrameTooLong);
                }
                return Ok(self.buffer.get(frame).map(|raw| Frame { raw, data: data_of(raw) }));
            }
        }
        match self.buffer.len() - self.frame_at > FRAME_BYTES_MAX {
            true => Err(FrameTooLong),
            false => Ok(None),
        }
    }

    /// Where the current line ends, and where the next one begins. `None`: more must come to tell.
    fn line_end(&mut self) -> Option<std::ops::Range<usize>> {
        let rest = self.buffer.get(self.search_at..)?;
        let Some(offset) = memchr::memchr2(b'\n', b'\r', rest) else {
            self.search_at = self.buffer.len();
            return None;
        };
        let end = self.search_at + offset;
        // A CR at the end of what came may be the first half of a CR LF.
        // Mutant: taking it for a whole line end turns `any_chunking_gives_the_same_frames` red.
        let width = match (rest.get(offset), rest.get(offset + 1)) {
            (Some(b'\n'), _) => 1,
            (_, Some(b'\n')) => 2,
            (_, Some(_)) => 1,
            (_, None) if self.ended => 1,
            (_, None) => {
                self.search_at = end;
                return None;
            }
        };
        Some(end..end + width)
    }

    /// Skips all marks at the start: a second one, passed on as the first, would hide what stands before it.
    /// False while it can't be told whether there is one.
    fn skip_byte_order_mark(&mut self) -> bool {
        while !self.begun {
            let rest = self.buffer.get(self.frame_at..).unwrap_or_default();
            if rest.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(rest) && !self.ended {
                return false;
            }
            if rest.starts_with(BYTE_ORDER_MARK) {
                self.frame_at += BYTE_ORDER_MARK.len();
                (self.line_at, self.search_at) = (self.frame_at, self.frame_at);
            } else {
                self.begun = true;
            }
        }
        true
    }
}

/// The `data` lines of a frame. One line, the usual case, is borrowed.
fn data_of(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut data: Option<Cow<'_, [u8]>> = None;
    for line in raw.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let Some(value) = data_line(line) else { continue };
        data = Some(match data {
            None => value.into(),
            Some(earlier) => [&earlier, &b"\n"[..], value].concat().into(),
        });
    }
    data
}

fn data_line(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}
