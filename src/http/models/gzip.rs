//! Lists under gzip. Twenty megabytes take a fifth of a second, so that each list is compressed once, in segments; an answer
//! joins them, and compresses only what stands loose between them.

use super::body::{Form, Part, Pieces, texts};
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tollgate_actors::catalog::{CatalogSnapshot, ListText, Run};

/// Entries of a segment, some 100 KB: what stands loose at both ends of a list that is shown twice is within the bound below.
const SEGMENT: u32 = 128;
/// What one answer may compress by itself: some milliseconds. An answer with more goes out as it is.
const LOOSE_BYTES_MAX: usize = 512 * 1_024;
/// A member's head: deflate, no name, no time, no system.
const HEAD: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";
/// A last block with nothing in it: what stands before it ends at a whole byte.
const LAST_BLOCK: &[u8] = b"\x03\0";

/// Text as deflate blocks that end at a whole byte and need nothing of what stands before them: they can be joined.
struct Deflated {
    blocks: Bytes,
    crc: crc32fast::Hasher,
    /// Of the text, modulo 2^32, as gzip counts.
    bytes: u32,
}

/// The segments of the lists that are served now, each compressed when it is first asked for.
#[derive(Default)]
pub struct Segments(Mutex<HashMap<(u64, Form), Slot>>);

/// One list's segments in one form.
type Slot = Arc<OnceLock<Box<[Deflated]>>>;

impl Segments {
    /// The parts as one gzip member; `None` when too much of it would have to be compressed now.
    ///
    /// Long work the first time a list is asked for: not for a worker's thread.
    pub fn zip(&self, snapshot: &CatalogSnapshot, parts: &[Part], form: Form) -> Option<Pieces> {
        let mut member = Member::new();
        for part in parts {
            match part {
                Part::Text(text) => member.loose(text.clone())?,
                Part::Entries(run) => self.add_run(&mut member, snapshot, run, form)?,
            }
        }
        Some(member.finish())
    }

    fn add_run(&self, member: &mut Member, snapshot: &CatalogSnapshot, run: &Run, form: Form) -> Option<()> {
        let list = snapshot.list(run.gateway)?;
        let entries = u32::try_from(list.text().len()).ok()?;
        for (ordinal, places) in stretches(run.places.clone()).enumerate() {
            if ordinal > 0 {
                member.loose(Bytes::from_static(b","))?;
            }
            if segment_at(places.start, entries) == places {
                let slot = self.slot(snapshot, list.text(), form);
                let segments = slot.get_or_init(|| compressed(snapshot, Run { gateway: run.gateway, places: 0..entries }, form));
                member.segment(segments.get(usize::try_from(places.start / SEGMENT).ok()?)?);
            } else {
                for text in texts(snapshot, &Run { gateway: run.gateway, places }, form) {
                    member.loose(text)?;
                }
            }
        }
        Some(())
    }

    /// The list's place here. Lists that are served no more lose theirs.
    fn slot(&self, snapshot: &CatalogSnapshot, text: &ListText, form: Form) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (text.tag(), form);
        if !slots.contains_key(&key) {
            slots.retain(|(tag, _), _| snapshot.lists().any(|list| list.text().tag() == *tag));
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

/// The segment that begins there, in a list of so many entries.
fn segment_at(start: u32, entries: u32) -> Range<u32> {
    let end = start.saturating_add(SEGMENT).min(entries);
    // What begins elsewhere is no segment.
    if start.is_multiple_of(SEGMENT) { start..end } else { 0..0 }
}

/// The run, cut where segments begin.
fn stretches(places: Range<u32>) -> impl Iterator<Item = Range<u32>> {
    let Range { mut start, end } = places;
    std::iter::from_fn(move || {
        let next = (start / SEGMENT).saturating_add(1).saturating_mul(SEGMENT).min(end);
        let stretch = start..next;
        start = next;
        (!stretch.is_empty()).then_some(stretch)
    })
}

fn compressed(snapshot: &CatalogSnapshot, whole: Run, form: Form) -> Box<[Deflated]> {
    let segment = |places| deflate(&texts(snapshot, &Run { gateway: whole.gateway, places }, form));
    stretches(whole.places.clone()).map(segment).collect()
}

fn deflate(texts: &[Bytes]) -> Deflated {
    let mut crc = crc32fast::Hasher::new();
    let mut compress = Compress::new(Compression::fast(), false);
    let mut blocks = Vec::with_capacity(4_096);
    for (ordinal, text) in texts.iter().enumerate() {
        crc.update(text);
        let flush = if ordinal + 1 == texts.len() { FlushCompress::Full } else { FlushCompress::None };
        feed(&mut compress, text, &mut blocks, flush);
    }
    blocks.shrink_to_fit();
    let bytes = u32::try_from(compress.total_in() % (1 << 32)).unwrap_or_default();
    Deflated { blocks: blocks.into(), crc, bytes }
}

/// Compresses all of the text. The output must have room left at the end: else there may be more to come.
fn feed(compress: &mut Compress, text: &[u8], blocks: &mut Vec<u8>, flush: FlushCompress) {
    let mut rest = text;
    loop {
        let before = compress.total_in();
        // In memory, with a fresh compressor, it can't fail.
        if compress.compress_vec(rest, blocks, flush).is_err() {
            return;
        }
        let taken = usize::try_from(compress.total_in() - before).unwrap_or(usize::MAX);
        rest = rest.get(taken..).unwrap_or_default();
        if rest.is_empty() && blocks.len() < blocks.capacity() {
            return;
        }
        blocks.reserve(blocks.capacity().max(4_096));
    }
}

/// A gzip member that is being joined.
struct Member {
    pieces: Pieces,
    crc: crc32fast::Hasher,
    bytes: u32,
    /// What is compressed for this answer alone, and how much more of that there may be.
    loose: Vec<Bytes>,
    loose_bytes_left: usize,
}

impl Member {
    fn new() -> Self {
        let mut pieces = Pieces::default();
        pieces.push(Bytes::from_static(HEAD));
        Self { pieces, crc: crc32fast::Hasher::new(), bytes: 0, loose: Vec::new(), loose_bytes_left: LOOSE_BYTES_MAX }
    }

    fn loose(&mut self, text: Bytes) -> Option<()> {
        self.loose_bytes_left = self.loose_bytes_left.checked_sub(text.len())?;
        self.loose.push(text);
        Some(())
    }

    fn segment(&mut self, segment: &Deflated) {
        self.join_loose();
        self.join(segment);
    }

    fn join_loose(&mut self) {
        if !self.loose.is_empty() {
            let loose = deflate(&std::mem::take(&mut self.loose));
            self.join(&loose);
        }
    }

    fn join(&mut self, deflated: &Deflated) {
        self.pieces.push(deflated.blocks.clone());
        self.crc.combine(&deflated.crc);
        self.bytes = self.bytes.wrapping_add(deflated.bytes);
    }

    fn finish(mut self) -> Pieces {
        self.join_loose();
        let tail = [LAST_BLOCK, &self.crc.finalize().to_le_bytes(), &self.bytes.to_le_bytes()].concat();
        self.pieces.push(tail.into());
        self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_cut_where_segments_begin() {
        let cut = |places| stretches(places).collect::<Vec<_>>();
        assert_eq!(cut(0..300), [0..128, 128..256, 256..300]);
        assert_eq!(cut(120..150), [120..128, 128..150]);
        assert_eq!(cut(7..7), []);
        assert_eq!((segment_at(128, 200), segment_at(0, 200), segment_at(3, 200)), (128..200, 0..128, 0..0));
    }

    #[test]
    fn joined_blocks_are_one_member_that_is_read_as_the_text() {
        let text = |length: usize, seed: usize| {
            Bytes::from((0..length).map(|at| b'a' + u8::try_from((at * at + seed) % 23).unwrap()).collect::<Vec<u8>>())
        };
        let (one, two, three) = (text(300_000, 1), text(1, 2), text(70_000, 3));
        let mut member = Member::new();
        member.loose(one.clone()).unwrap();
        member.segment(&deflate(&[two.clone(), three.clone()]));
        member.segment(&deflate(std::slice::from_ref(&one)));
        member.loose(two.clone()).unwrap();
        let zipped = member.finish().joined();
        let mut read = Vec::new();
        // One member, with its check sum and length: what is behind it would be an error of `GzDecoder`'s reader.
        std::io::Read::read_to_end(&mut flate2::bufread::GzDecoder::new(&zipped[..]), &mut read).unwrap();
        assert_eq!(read, [&one[..], &two, &three, &one, &two].concat());
        assert!(zipped.len() < read.len() / 3, "{} of {}", zipped.len(), read.len());
    }

    #[test]
    fn an_answer_compresses_no_more_than_its_share() {
        let mut member = Member::new();
        assert!(member.loose(Bytes::from(vec![b'x'; LOOSE_BYTES_MAX])).is_some());
        assert!(member.loose(Bytes::from_static(b"x")).is_none());
    }
}
