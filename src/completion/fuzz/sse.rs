use super::{STREAMS, WORDS};
use crate::completion::sse::Scanner;
use tollgate_fuzz::Fuzz;

type Data = Vec<Vec<u8>>;

/// The frames together, and the data of each that has some.
fn scanned<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Data) {
    let (mut scanner, mut raw, mut data) = (Scanner::default(), Vec::new(), Data::new());
    let mut take = |scanner: &mut Scanner| {
        while let Some(frame) = scanner.next_frame().expect("no frame is long") {
            raw.extend_from_slice(frame.raw);
            data.extend(frame.data.map(std::borrow::Cow::into_owned));
        }
    };
    for piece in pieces {
        scanner.push(piece);
        take(&mut scanner);
    }
    scanner.end();
    take(&mut scanner);
    (raw, data)
}

fn unmarked(mut stream: &[u8]) -> &[u8] {
    while let Some(rest) = stream.strip_prefix(b"\xef\xbb\xbf") {
        stream = rest;
    }
    stream
}

/// WHATWG HTML, 9.2.6, as simply as can be, on the whole stream. A last event that lacks its empty line counts here.
fn by_the_book(stream: &[u8]) -> Data {
    let stream = unmarked(stream);
    let mut lines = vec![Vec::new()];
    let mut bytes = stream.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&&b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            byte => lines.last_mut().unwrap().push(*byte),
        }
    }
    lines.push(Vec::new());
    let (mut data, mut event): (Data, Option<Vec<u8>>) = Default::default();
    for line in lines {
        if line.is_empty() {
            data.extend(event.take());
        } else if line == b"data" || line.starts_with(b"data:") {
            let value = line.get(5..).unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            event = Some(event.map_or_else(|| value.to_vec(), |earlier| [&earlier, &b"\n"[..], value].concat()));
        }
    }
    data
}

#[test]
fn fuzz_any_stream_cut_anywhere_has_the_events_that_the_standard_says() {
    Fuzz::new("the SSE reader").corpus(STREAMS).words(WORDS).run(|stream, dice| {
        let (raw, data) = scanned([stream]);
        // Mutant: taking a CR at the end of a piece for a whole line end turns this red.
        assert_eq!(scanned(dice.cut(stream)), (raw.clone(), data.clone()), "cut in another way");
        assert_eq!(data, by_the_book(stream));
        let whole = unmarked(stream);
        assert!(raw.starts_with(whole) && raw.len() <= whole.len() + 2, "the frames are the stream");
    });
}
