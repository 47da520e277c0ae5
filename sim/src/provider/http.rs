//! The little of HTTP/1.1 that a provider needs, on the bare socket: faults are made of bytes and resets that no HTTP
//! library lets through.

use bytes::{Buf, Bytes, BytesMut};
use std::future::pending;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HEADERS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 128 << 10;
const BODY_BYTES_MAX: usize = 64 << 20;
const READ_BUFFER_BYTES: usize = 8 << 10;
const READ_BYTES_MIN: usize = 1 << 10;
/// A buffer that one large answer has blown up is given back.
const KEPT_BUFFER_BYTES: usize = 256 << 10;
/// What a client may send ahead while its answer is under way.
const READ_AHEAD_BYTES_MAX: usize = 1 << 20;

/// The client closed or reset the connection before its answer ended.
#[derive(Debug)]
pub(crate) struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Why no request could be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// Closed between requests, or in the middle of one.
    Closed,
    /// Not HTTP as we know it.
    Malformed,
    TooLarge,
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// A request as it came. The head is kept whole, so that everything in it can be looked at later.
pub(crate) struct Request {
    pub head: Bytes,
    pub body: Bytes,
    pub method: Method,
    pub target: String,
    pub keep_alive: bool,
    pub credential: Credential,
    pub behaviour: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Missing,
    Bad,
    Good,
}

/// How the body's length is told.
enum BodyLength {
    Known(usize),
    Chunked,
}

struct Head {
    request: Request,
    length: BodyLength,
    expects_continue: bool,
}

pub(crate) struct Conn {
    stream: TcpStream,
    input: BytesMut,
    /// What waits to be written by the next [`Conn::flush`].
    pub out: Vec<u8>,
}

impl Conn {
    pub fn new(stream: TcpStream) -> Self {
        // Without it, small writes wait for each other; a socket that refuses it works all the same.
        let _ = stream.set_nodelay(true);
        Self { stream, input: BytesMut::with_capacity(READ_BUFFER_BYTES), out: Vec::with_capacity(4 << 10) }
    }

    pub async fn read_request(&mut self) -> Result<Request, ReadError> {
        let Head { mut request, length, expects_continue } = loop {
            if !self.input.is_empty()
                && let Some(head) = parse_head(&mut self.input)?
            {
                break head;
            }
            if self.input.len() > HEAD_BYTES_MAX {
                return Err(ReadError::TooLarge);
            }
            self.fill().await?;
        };
        if expects_continue {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        request.body = match length {
            BodyLength::Known(length) => self.take(length).await?,
            BodyLength::Chunked => self.read_chunked().await?,
        };
        Ok(request)
    }

    /// Writes what waits in `out`.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        if self.out.capacity() > KEPT_BUFFER_BYTES {
            self.out.shrink_to(KEPT_BUFFER_BYTES);
        }
        Ok(())
    }

    /// Waits, and notices when the client goes meanwhile.
    pub async fn pause(&mut self, duration: Duration) -> Result<(), Gone> {
        if duration.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(duration) => Ok(()),
            gone = self.until_gone() => Err(gone),
        }
    }

    /// Resolves when the client closed or reset its side. A half-close counts: no client of a provider sends one and
    /// stays.
    pub async fn until_gone(&mut self) -> Gone {
        loop {
            if self.input.len() > READ_AHEAD_BYTES_MAX {
                return pending().await;
            }
            if self.fill().await.is_err() {
                return Gone;
            }
        }
    }

    /// Ends the connection with a TCP RST.
    pub fn reset(self) {
        // Should the option be refused, the caller sees a plain close.
        let _ = self.stream.set_zero_linger();
    }

    async fn fill(&mut self) -> Result<(), ReadError> {
        // What is left of a used buffer would be filled in small reads.
        self.input.reserve(READ_BYTES_MIN);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(ReadError::Closed),
            _ => Ok(()),
        }
    }

    async fn take(&mut self, length: usize) -> Result<Bytes, ReadError> {
        if length > BODY_BYTES_MAX {
            return Err(ReadError::TooLarge);
        }
        self.input.reserve(length.saturating_sub(self.input.len()));
        while self.input.len() < length {
            self.fill().await?;
        }
        Ok(self.input.split_to(length).freeze())
    }

    async fn read_chunked(&mut self) -> Result<Bytes, ReadError> {
        let mut body = BytesMut::new();
        loop {
            let size = match httparse::parse_chunk_size(&self.input) {
                Ok(httparse::Status::Complete((consumed, size))) => {
                    self.input.advance(consumed);
                    usize::try_from(size).map_err(|_| ReadError::TooLarge)?
                }
                Ok(httparse::Status::Partial) => {
                    self.fill().await?;
                    continue;
                }
                Err(_) => return Err(ReadError::Malformed),
            };
            if body.len().saturating_add(size) > BODY_BYTES_MAX {
                return Err(ReadError::TooLarge);
            }
            body.extend_from_slice(&self.take(size).await?);
            // Trailers are not expected: the last chunk, too, is followed by one empty line.
            if self.take(2).await? != b"\r\n"[..] {
                return Err(ReadError::Malformed);
            }
            if size == 0 {
                return Ok(body.freeze());
            }
        }
    }
}

/// Takes one request's head off the input, when all of it is there.
fn parse_head(input: &mut BytesMut) -> Result<Option<Head>, ReadError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(input) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ReadError::Malformed),
    };
    let mut head = Head {
        request: Request {
            head: Bytes::new(),
            body: Bytes::new(),
            method: match parsed.method {
                Some("GET") => Method::Get,
                Some("POST") => Method::Post,
                _ => Method::Other,
            },
            target: parsed.path.unwrap_or("/").to_owned(),
            keep_alive: parsed.version == Some(1),
            credential: Credential::Missing,
            behaviour: None,
        },
        length: BodyLength::Known(0),
        expects_continue: false,
    };
    for header in parsed.headers.iter() {
        head.note(header.name, header.value)?;
    }
    head.request.head = input.split_to(length).freeze();
    Ok(Some(head))
}

impl Head {
    fn note(&mut self, name: &str, value: &[u8]) -> Result<(), ReadError> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // Most headers are none of these: their length tells.
        match name.len() {
            6 if is("expect") => self.expects_continue = true,
            9 if is("x-api-key") => self.request.credential = credential(value),
            10 if is("connection") => self.request.keep_alive &= !value.eq_ignore_ascii_case(b"close"),
            13 if is("authorization") => self.request.credential = bearer(value),
            14 if is("content-length") => {
                let length = str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
                self.length = BodyLength::Known(length.ok_or(ReadError::Malformed)?);
            }
            15 if is("x-sim-behaviour") => self.request.behaviour = Some(String::from_utf8_lossy(value).into_owned()),
            17 if is("transfer-encoding") => self.length = BodyLength::Chunked,
            17 if is("x-portkey-api-key") => self.request.credential = credential(value),
            _ => {}
        }
        Ok(())
    }
}

fn bearer(value: &[u8]) -> Credential {
    value.strip_prefix(b"Bearer ").map_or(Credential::Bad, credential)
}

fn credential(value: &[u8]) -> Credential {
    match value.trim_ascii() {
        b"" | b"bad-key" => Credential::Bad,
        _ => Credential::Good,
    }
}
