//! Faults that are the same for plain and streamed answers: about the connection, the status, or HTTP's framing.

use super::Ended;
use super::answer::Answer;
use super::behaviour::Fault;
use super::http::{Conn, Gone};
use super::plain;
use super::reply::{self, CHUNKED};
use super::stats::Meter;
use super::stream::{Events, around_token};
use bytes::BufMut;
use std::io::Write;

const LINE_PIECE_BYTES: usize = 64 << 10;
/// How much longer than the truth an announced length is.
const SHORT_BY_BYTES: usize = 1_000;
/// Where `redirect` points.
pub(super) const REDIRECT_TARGET: &str = "/redirected/chat/completions";

/// Acts out a fault that replaces the answer; `None` for those that the answers themselves know.
pub(super) async fn instead(conn: &mut Conn, answer: &Answer, streamed: bool, meter: &Meter<'_>) -> Option<Result<Ended, Gone>> {
    let content_type = if streamed { reply::EVENTS } else { reply::JSON };
    Some(match answer.behaviour.fault? {
        Fault::Silent => Err(conn.until_gone().await),
        Fault::HangUp => Ok(Ended::Closed),
        Fault::Reset => Ok(Ended::Reset),
        Fault::HeadersThenSilence => {
            let length = (!streamed).then(|| answer.plain().len());
            let headers = if streamed { &[CHUNKED][..] } else { &[] };
            reply::put_head(&mut conn.out, 200, content_type, headers, length);
            match conn.flush().await {
                Ok(()) => Err(conn.until_gone().await),
                gone => gone.map(|()| Ended::Faulted),
            }
        }
        Fault::Status(status) => with_status(conn, status, answer).await,
        Fault::Html500 => {
            let page =
                b"<!DOCTYPE html>\n<html><head><title>500</title></head><body><h1>Internal Server Error</h1></body></html>\n";
            reply::put(&mut conn.out, 500, "text/html; charset=utf-8", &[], page);
            conn.flush().await.map(|()| Ended::Faulted)
        }
        Fault::Redirect => {
            reply::put(&mut conn.out, 307, "text/plain", &[("location", REDIRECT_TARGET)], b"");
            conn.flush().await.map(|()| Ended::Faulted)
        }
        Fault::LongLine(bytes) => long_line(conn, answer, streamed, bytes, meter).await,
        Fault::LyingContentLength => {
            let body = whole(answer, streamed);
            reply::put_head(&mut conn.out, 200, content_type, &[], Some(body.len() + SHORT_BY_BYTES));
            conn.out.extend_from_slice(&body);
            deliver(conn, answer, meter).await.map(|()| Ended::Closed)
        }
        Fault::ChunkLies => chunk_lies(conn, answer, streamed, content_type, meter).await,
        Fault::GzipUnasked => {
            let body = gzip(&whole(answer, streamed));
            reply::put(&mut conn.out, 200, content_type, &[("content-encoding", "gzip")], &body);
            deliver(conn, answer, meter).await.map(|()| Ended::Finished)
        }
        _ => return None,
    })
}

fn whole(answer: &Answer, streamed: bool) -> Vec<u8> {
    if !streamed {
        return answer.plain().into_bytes();
    }
    let mut body = Vec::new();
    Events::new(answer).whole(&mut body);
    body
}

/// Writes an answer that stands whole in the buffer.
async fn deliver(conn: &mut Conn, answer: &Answer, meter: &Meter<'_>) -> Result<(), Gone> {
    conn.flush().await?;
    meter.prompt(answer.prompt_tokens);
    meter.sent(answer.completion_tokens());
    Ok(())
}

async fn with_status(conn: &mut Conn, status: u16, answer: &Answer) -> Result<Ended, Gone> {
    let seconds = answer.behaviour.retry_after_s.map(|seconds| seconds.to_string());
    let header = seconds.as_ref().map(|seconds| ("retry-after", seconds.as_str()));
    let (content_type, body) = answer.format.error(status, &format!("The stand-in was told to answer {status}"));
    reply::put(&mut conn.out, status, content_type, header.as_slice(), &body);
    conn.flush().await.map(|()| Ended::Faulted)
}

/// One honest chunk with the first half of the answer, then one that is longer than it says, then one without a size.
async fn chunk_lies(
    conn: &mut Conn,
    answer: &Answer,
    streamed: bool,
    content_type: &str,
    meter: &Meter<'_>,
) -> Result<Ended, Gone> {
    let body = whole(answer, streamed);
    let (first, second) = body.split_at(body.len() / 2);
    reply::put_head(&mut conn.out, 200, content_type, &[CHUNKED], None);
    // Writing to a Vec can't fail.
    let _ = write!(conn.out, "{:x}\r\n", first.len());
    conn.out.extend_from_slice(first);
    let _ = write!(conn.out, "\r\n{:x}\r\n", second.len() / 2);
    conn.out.extend_from_slice(second);
    conn.out.extend_from_slice(b"\r\nzz\r\n");
    conn.flush().await?;
    meter.prompt(answer.prompt_tokens);
    if streamed {
        let tokens = memchr::memmem::find_iter(first, br#""delta":{"content":"#).count();
        meter.sent(u64::try_from(tokens).unwrap_or(0));
    }
    Ok(Ended::Closed)
}

/// A content of so many bytes on one line, made as it goes out.
async fn long_line(conn: &mut Conn, answer: &Answer, streamed: bool, bytes: u64, meter: &Meter<'_>) -> Result<Ended, Gone> {
    let json = answer.plain();
    let (before, after, head) = if streamed {
        let mut start = Vec::new();
        Events::new(answer).start(&mut start);
        let (before, after) = around_token(answer);
        start.extend_from_slice(before.as_bytes());
        (start, format!("{after}data: [DONE]\n\n").into_bytes(), reply::EVENTS)
    } else {
        let (before, after) = plain::around_content(json.as_bytes());
        (before.to_vec(), after.to_vec(), reply::JSON)
    };
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let length = before.len().saturating_add(bytes).saturating_add(after.len());
    reply::put_head(&mut conn.out, 200, head, &[("x-generation-id", &answer.id)], Some(length));
    conn.out.extend_from_slice(&before);
    let mut left = bytes;
    while left > 0 {
        let piece = left.min(LINE_PIECE_BYTES);
        conn.out.put_bytes(b'x', piece);
        conn.flush().await?;
        left -= piece;
    }
    conn.out.extend_from_slice(&after);
    conn.flush().await?;
    meter.prompt(answer.prompt_tokens);
    Ok(Ended::Finished)
}

/// A gzip member of stored blocks (RFC 1952, RFC 1951 3.2.4): true gzip, nothing compressed.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let blocks = bytes.chunks(usize::from(u16::MAX));
    let last = blocks.len().saturating_sub(1);
    for (index, block) in blocks.enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(index == last));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out
}
