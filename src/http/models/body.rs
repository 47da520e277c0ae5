//! A list as it goes out: pieces of the catalogue's own text between a head and a tail. What is shared is not copied, and a
//! client that reads slowly costs no more than its piece.

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tollgate_actors::catalog::{CatalogSnapshot, Run};

/// What is given to the socket at a time: actix copies each piece into the connection's buffer.
const PIECE_BYTES: usize = 64 * 1_024;

/// In which form entries are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As the catalogue has them.
    Public,
    /// `created` is a number, 0 when unknown.
    OpenAi,
}

/// Text, and entries between it.
#[derive(Clone, Debug)]
pub enum Part {
    Text(Bytes),
    Entries(Run),
}

/// The entries with commas between the runs.
pub fn entries(runs: &[Run]) -> Vec<Part> {
    let mut parts = Vec::with_capacity(2 * runs.len());
    for run in runs {
        if !parts.is_empty() {
            parts.push(Part::Text(Bytes::from_static(b",")));
        }
        parts.push(Part::Entries(run.clone()));
    }
    parts
}

/// A run's text, without copying it.
pub fn texts(snapshot: &CatalogSnapshot, run: &Run, form: Form) -> Vec<Bytes> {
    let Some(list) = snapshot.list(run.gateway) else { return Vec::new() };
    if form == Form::Public {
        return vec![list.text().slice(run.places.clone())];
    }
    let mut texts = Vec::new();
    let mut written_to = run.places.start;
    let dateless = run.places.clone().filter_map(|place| Some((place, list.text().around_null_created(place)?)));
    for (place, (before, after)) in dateless {
        if written_to < place {
            texts.extend([list.text().slice(written_to..place), Bytes::from_static(b",")]);
        }
        written_to = place.saturating_add(1);
        texts.extend([before, Bytes::from_static(b"0"), after]);
        if written_to < run.places.end {
            texts.push(Bytes::from_static(b","));
        }
    }
    if written_to < run.places.end {
        texts.push(list.text().slice(written_to..run.places.end));
    }
    texts
}

/// The body of an answer, of a known length.
#[derive(Debug, Default)]
pub struct Pieces {
    pieces: VecDeque<Bytes>,
    bytes: u64,
}

impl Pieces {
    /// The parts as they are.
    pub fn plain(parts: &[Part], snapshot: &CatalogSnapshot, form: Form) -> Self {
        let mut pieces = Self::default();
        for part in parts {
            match part {
                Part::Text(text) => pieces.push(text.clone()),
                Part::Entries(run) => texts(snapshot, run, form).into_iter().for_each(|text| pieces.push(text)),
            }
        }
        pieces
    }

    pub fn push(&mut self, piece: Bytes) {
        self.bytes = self.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        self.pieces.push_back(piece);
    }

    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All of it, in one.
    #[cfg(test)]
    pub fn joined(&self) -> Vec<u8> {
        self.pieces.iter().flatten().copied().collect()
    }

    /// Takes what the socket gets next.
    fn next(&mut self) -> Option<Bytes> {
        let first = self.pieces.front_mut()?;
        if first.len() > PIECE_BYTES {
            return Some(first.split_to(PIECE_BYTES));
        }
        self.pieces.pop_front()
    }
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.next().map(Ok))
    }
}
