use super::*;
use proptest::prelude::*;

/// A frame's bytes and data.
type Found = (Vec<u8>, Option<Vec<u8>>);

/// The frames, and whether one was too long.
fn frames<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Found>, bool) {
    let mut scanner = Scanner::default();
    let mut found = Vec::new();
    let mut take = |scanner: &mut Scanner| loop {
        match scanner.next_frame() {
            Ok(Some(frame)) => found.push((frame.raw.to_vec(), frame.data.map(Cow::into_owned))),
            Ok(None) => break false,
            Err(FrameTooLong) => break true,
        }
    };
    for chunk in chunks {
        scanner.push(chunk);
        if take(&mut scanner) {
            return (found, true);
        }
    }
    scanner.end();
    let too_long = take(&mut scanner);
    (found, too_long)
}

fn data(stream: &[u8]) -> Vec<String> {
    let text = |data: Vec<u8>| String::from_utf8(data).expect("UTF-8");
    frames([stream]).0.into_iter().filter_map(|(_, data)| data.map(text)).collect()
}

#[test]
fn every_legal_spelling_of_two_events_is_read_the_same() {
    for stream in [
        "data: a\n\ndata: b\n\n",
        "data:a\r\n\r\ndata:b\r\n\r\n",
        "data: a\r\rdata: b\r\r",
        "\u{feff}data: a\n\ndata: b\n\n",
        ": hello\n\nevent: x\ndata: a\nid: 1\n\n: OPENROUTER PROCESSING\n\n\ndata: b\n\n",
        "data: a\n\ndata: b",
        "data: a\n\ndata: b\n",
        "dataset: no\ndata: a\n\ndata: b\r\n\r",
    ] {
        assert_eq!(data(stream.as_bytes()), ["a", "b"], "{stream:?}");
    }
}

#[test]
fn several_data_lines_are_one_text_and_one_space_after_the_colon_goes() {
    assert_eq!(data(b"data: {\ndata:  1\ndata\ndata:}\n\n"), ["{\n 1\n\n}"]);
}

#[test]
fn the_frames_together_are_the_stream() {
    let stream = b": c\r\n\r\ndata: a\n\ndata: b\rdata: c\r\rdata: d\n\n".as_slice();
    let raw: Vec<u8> = frames([stream]).0.into_iter().flat_map(|(raw, _)| raw).collect();
    assert_eq!(raw, stream);
}

#[test]
fn a_frame_without_end_is_refused_before_it_fills_the_memory() {
    let piece = [b'x'; 4_096];
    let endless = std::iter::repeat_n(piece.as_slice(), 300);
    // Mutant: without the bound in `next_frame` this is read to its end.
    assert!(frames(endless).1);
    let many_lines = std::iter::repeat_n(b"data: x\n".as_slice(), FRAME_BYTES_MAX / 4);
    assert!(frames(many_lines).1);
}

/// Streams of the bytes that matter.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"data:".to_vec()),
        Just(b"data: {\"a\":1}".to_vec()),
        Just(b": ping".to_vec()),
        Just("\u{feff}".as_bytes().to_vec()),
        Just("€".as_bytes().to_vec()),
        any::<u8>().prop_map(|byte| vec![byte]),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_frames(stream in any_stream(), cuts in proptest::collection::vec(0..64usize, 0..20)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
        prop_assert_eq!(frames(chunks), frames([stream.as_slice()]));
        let bytes = stream.chunks(1);
        prop_assert_eq!(frames(bytes), frames([stream.as_slice()]));
    }
}
