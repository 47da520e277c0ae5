use super::super::upstream_body::{Deadlines, UpstreamBody};
use super::*;
use http_body_util::StreamBody;
use hyper::body::Frame;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tollgate_actors::ports::Phase;
use tollgate_sim::provider::Behaviour;

async fn assert_end(behaviour: &str, streamed: bool, expected: impl Fn(&GatewayError) -> bool) {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), SHORT);
    let end = end(&gateway, call(behaviour, streamed)).await;
    assert!(end.as_ref().is_some_and(expected), "{behaviour}, streamed {streamed}: {end:?}");
}

async fn assert_phase(behaviour: &str, streamed: bool, phase: Phase) {
    assert_end(behaviour, streamed, |error| *error == GatewayError::Timeout(phase)).await;
}

#[tokio::test]
async fn silence_is_cut_by_the_first_byte_time_out_before_and_after_the_head() {
    for streamed in [false, true] {
        assert_phase("silent", streamed, Phase::FirstByte).await;
        // Mutant: with `deadlines.next()` for the first piece this is BetweenBytes.
        assert_phase("headers-then-silence", streamed, Phase::FirstByte).await;
    }
}

#[tokio::test]
async fn a_stall_is_cut_by_the_between_bytes_time_out() {
    for streamed in [false, true] {
        assert_phase("stall-after-3", streamed, Phase::BetweenBytes).await;
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_by_the_total_time_out() {
    assert_phase("slow-50", false, Phase::Total).await;
    assert_phase("slow-50", true, Phase::Total).await;
    assert_phase("endless;token-delay-20", true, Phase::Total).await;
}

#[tokio::test]
async fn a_body_that_always_has_more_is_cut_by_the_total_time_out() {
    let more = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"more"))));
    let deadlines = Deadlines::from_now(&TimeoutSettings { total: Duration::from_millis(100), ..LONG });
    let mut body = UpstreamBody::new(StreamBody::new(more), deadlines, u64::MAX);
    let (started, mut ended) = (Instant::now(), None);
    while ended.is_none() && started.elapsed() < SHORT.total {
        ended = body.next().await.unwrap().err();
    }
    // Mutant: a time-out that is asked only while nothing comes never ends it.
    assert_eq!(ended, Some(GatewayError::Timeout(Phase::Total)));
}

#[tokio::test]
async fn a_connection_that_nobody_takes_is_cut_by_the_connect_time_out() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once the queue is full, the kernel drops whoever comes.
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(300), tokio::net::TcpStream::connect(address)).await {
        queue.push(stream);
        assert!(queue.len() < 10, "this kernel queues without end");
    }
    let gateway = gateway(format!("http://{address}"), TimeoutSettings { connect: Duration::from_millis(200), ..LONG });
    assert_eq!(end(&gateway, call("fast", false)).await, Some(GatewayError::Timeout(Phase::Connect)));
}

/// A process of its own: each test is one under nextest.
#[tokio::test]
async fn a_process_without_open_files_says_so_and_not_that_the_gateway_is_away() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), LONG);
    let before = getrlimit(Resource::Nofile);
    // Every descriptor below the limit is taken.
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() + 32;
    setrlimit(Resource::Nofile, Rlimit { current: Some(u64::try_from(open).unwrap()), ..before }).unwrap();
    let taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    let ended = end(&gateway, call("fast", false)).await;
    drop(taken);
    setrlimit(Resource::Nofile, before).unwrap();
    // Mutant: `EMFILE` that counts as any other error of connecting is `Connection`.
    assert!(matches!(&ended, Some(GatewayError::Exhausted(_))), "{ended:?}");
    assert_eq!(end(&gateway, call("fast", false)).await, None, "and then it goes on");
}

#[tokio::test]
async fn a_refused_connection_is_told_as_such() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), LONG);
    provider.stop().await;
    let end = end(&gateway, call("fast", false)).await;
    assert!(matches!(&end, Some(GatewayError::Connection(text)) if text.contains("refused")), "{end:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_from_bytes_that_are_no_http() {
    for streamed in [false, true] {
        for broken in ["rst", "hang-up", "rst-after-3", "cut-after-3", "lying-content-length"] {
            assert_end(broken, streamed, |error| matches!(error, GatewayError::Connection(_))).await;
        }
        // Mutant: without `is_no_http` a lying chunk is a broken connection, and this is red.
        assert_end("chunk-lies", streamed, |error| matches!(error, GatewayError::Malformed(_))).await;
    }
    let gateway = gateway(canned("SSH-2.0-OpenSSH_9.2\r\n\r\n").await, LONG);
    let end = end(&gateway, call("fast", false)).await;
    assert!(matches!(end, Some(GatewayError::Malformed(_))), "{end:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), LONG);
    for streamed in [false, true] {
        let end = end(&gateway, call("redirect", streamed)).await;
        // Mutant: without `Policy::none()` the provider's redirect target is asked, with our key.
        assert!(matches!(end, Some(GatewayError::Malformed(_))), "{end:?}");
    }
    assert_eq!(provider.stats().redirects_followed, 0);
}

#[tokio::test]
async fn an_encoding_that_nobody_asked_for_is_malformed() {
    for streamed in [false, true] {
        assert_end("gzip-unasked", streamed, |error| matches!(error, GatewayError::Malformed(_))).await;
    }
}

#[tokio::test]
async fn a_plain_answer_beyond_the_bound_is_cut_and_a_large_one_is_not() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), LONG);
    assert_eq!(end(&gateway, call("long-line:40000000", false)).await, Some(GatewayError::TooLarge));
    let answer = gateway.complete(call("huge", false)).await.unwrap();
    let (body, end) = read(answer).await;
    assert!(end.is_none() && body.len() > 1 << 20, "{end:?}, {} bytes", body.len());
}

#[tokio::test]
async fn a_plain_answer_that_does_not_say_its_length_is_cut_at_the_bound() {
    let size = 33 << 20;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n");
    let base_url = canned([head.into_bytes(), vec![b' '; size], b"\r\n0\r\n\r\n".to_vec()].concat()).await;
    let answer = gateway(base_url, LONG).complete(call("fast", false)).await.unwrap();
    let (body, end) = read(answer).await;
    // Mutant: a `saturating_sub` in the count lets all of it through, and this is red.
    assert_eq!(end, Some(GatewayError::TooLarge));
    assert!(body.len() <= 32 << 20, "{} bytes", body.len());
}

/// Promise P2's part here: whatever the provider does, the call ends by itself and within its time-outs.
#[tokio::test]
async fn every_fault_ends_within_the_total_time_out() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), SHORT);
    let slack = Duration::from_secs(3);
    for (name, _) in Behaviour::faults() {
        for streamed in [false, true] {
            let ended = tokio::time::timeout(SHORT.total + slack, end(&gateway, call(name, streamed))).await;
            assert!(ended.is_ok(), "{name}, streamed {streamed}");
        }
    }
    eventually("nothing is left open at the provider", || provider.stats().open == 0).await;
}

#[tokio::test]
async fn every_oddity_comes_through_whole() {
    let provider = provider().await;
    let gateway = gateway(provider.base_url(), LONG);
    for (name, _) in Behaviour::oddities() {
        for streamed in [false, true] {
            assert_eq!(end(&gateway, call(name, streamed)).await, None, "{name}, streamed {streamed}");
        }
    }
    let stats = provider.stats();
    assert_eq!((stats.finished, stats.cancelled, stats.faulted), (stats.started, 0, 0));
}
