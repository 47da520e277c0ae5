//! A connection that asks for completions: just enough HTTP/1.1 to tell a whole answer from a broken one.

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Who is asked, and how.
pub struct Target {
    port: u16,
    path: &'static str,
    key: String,
}

impl Target {
    pub fn provider(port: u16) -> Self {
        Self { port, path: "/api/v1/chat/completions", key: "sim".to_owned() }
    }

    pub fn server(port: u16, key: &str) -> Self {
        Self { port, path: "/v1/chat/completions", key: key.to_owned() }
    }

    /// A request's bytes.
    pub fn request(&self, streamed: bool) -> Vec<u8> {
        let body = format!(
            r#"{{"model":"openai/gpt-4o-mini","messages":[{{"role":"user","content":"Say hello."}}],"max_tokens":64,"stream":{streamed}}}"#
        );
        let Self { path, key, .. } = self;
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

/// A connection that is kept.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub async fn open(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", target.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(4_096, stream)))
    }

    /// Asks, and reads the answer to its end.
    ///
    /// # Errors
    /// No 200, a broken answer, a stream without `[DONE]`.
    pub async fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.0.get_mut().write_all(request).await?;
        ensure!(self.line().await?.starts_with("HTTP/1.1 200"), "no success");
        let (mut length, mut is_stream) = (None, false);
        loop {
            let header = self.line().await?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(bytes) = header.strip_prefix("content-length:") {
                length = Some(bytes.trim().parse::<usize>()?);
            }
            is_stream |= header.starts_with("content-type: text/event-stream");
        }
        let body = match length {
            Some(bytes) => self.bytes(bytes).await?,
            None => self.chunks().await?,
        };
        ensure!(!is_stream || body.ends_with(b"data: [DONE]\n\n"), "a stream without an end");
        Ok(())
    }

    /// The last chunk with data: a stream's end is in it.
    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut last = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16).context("a chunk's size")?;
            let chunk = self.bytes(size).await?;
            ensure!(self.line().await?.is_empty(), "a chunk's end");
            if size == 0 {
                return Ok(last);
            }
            last = chunk;
        }
    }

    async fn bytes(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            bail!("the connection ended");
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}
