use super::{STREAMS, WORDS};
use crate::completion::relay::{Closing, Progress, Relay};
use crate::completion::sse::Scanner;
use serde_json::Value;
use std::mem::{Discriminant, discriminant};
use tollgate_actors::ports::GatewayError;
use tollgate_domain::TokenUsage;
use tollgate_fuzz::Fuzz;

/// The kind of the failure, or none.
type Ended = Result<(), Discriminant<GatewayError>>;

/// What went to the client, and how it ended.
fn relayed<'a>(relay: &mut Relay, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Ended) {
    let mut out = Vec::new();
    let mut ended = None;
    for piece in pieces {
        let progress = relay.feed(piece);
        out.extend_from_slice(&relay.take_output().unwrap_or_default());
        if !matches!(progress, Progress::More) {
            ended = Some(progress);
            break;
        }
    }
    let ended = ended.unwrap_or_else(|| relay.end());
    out.extend_from_slice(&relay.take_output().unwrap_or_default());
    match ended {
        Progress::Done => (out, Ok(())),
        Progress::Failed(error) => (out, Err(discriminant(&error))),
        Progress::More => panic!("an ended stream has not ended"),
    }
}

/// The data of each frame that has some.
fn data(frames: &[u8]) -> Vec<Vec<u8>> {
    let mut scanner = Scanner::default();
    scanner.push(frames);
    let mut data = Vec::new();
    while let Some(frame) = scanner.next_frame().expect("no frame is long") {
        data.extend(frame.data.map(std::borrow::Cow::into_owned).filter(|data| !data.trim_ascii().is_empty()));
    }
    data
}

fn closing(relay: &mut Relay) -> Vec<Vec<u8>> {
    let usage = TokenUsage { prompt: 8, completion: 9, ..TokenUsage::default() };
    data(&relay.closing(&Closing {
        generation: "gen-1",
        created: 70,
        model: "m",
        usage,
        is_theirs: true,
        gateway_usage: br#"{"cost_usd":1}"#,
    }))
}

#[test]
fn fuzz_whatever_a_provider_streams_the_client_gets_whole_chunks_and_one_end() {
    Fuzz::new("the stream's relay").corpus(STREAMS).words(WORDS).run(|stream, dice| {
        let (wants_usage, choices) = (dice.below(2) == 0, if dice.below(4) == 0 { 2 } else { 1 });
        let relay = || Relay::new(wants_usage, choices);
        let (mut whole, mut cut) = (relay(), relay());
        let (out, ended) = relayed(&mut whole, [stream]);
        assert_eq!(relayed(&mut cut, dice.cut(stream)), (out.clone(), ended), "cut in another way");
        assert_eq!(whole.received(), cut.received());
        assert!(out.len() <= 4 * stream.len() + 64, "{} bytes out of {}", out.len(), stream.len());
        assert!(whole.received().content_bytes <= stream.len());
        for data in data(&out) {
            check_chunk(&data, wants_usage);
        }
        if ended.is_ok() {
            check_end(&closing(&mut whole), wants_usage);
        }
    });
}

fn check_chunk(data: &[u8], wants_usage: bool) {
    // A number that no float holds is JSON all the same.
    let Ok(chunk) = serde_json::from_slice::<Value>(data) else {
        return assert!(is_json(data), "{}", data.escape_ascii());
    };
    assert!(chunk.is_object() && chunk.get("error").is_none_or(Value::is_null), "{chunk}");
    // Mutant: passing the provider's usage on in `put_without_usage` turns this red.
    assert!(!wants_usage || chunk["usage"].is_null(), "{chunk}");
}

fn check_end(closing: &[Vec<u8>], wants_usage: bool) {
    assert_eq!(closing.len(), if wants_usage { 2 } else { 1 });
    assert_eq!(closing.last().unwrap(), b"[DONE]");
    if wants_usage {
        assert!(is_json(&closing[0]), "{}", closing[0].escape_ascii());
    }
}

fn is_json(data: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok()
}
