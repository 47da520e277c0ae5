use super::turns::READS;
use super::*;
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{advance, pause, resume, timeout};

const PATIENCE: Patience = Patience { head: Duration::from_millis(200), idle: Duration::from_millis(700) };

/// Our end of a connection, and the client's.
async fn connected() -> (Watched, TcpStream) {
    connected_to(&Turns::default()).await
}

async fn connected_to(turns: &Turns) -> (Watched, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (Watched::new(listener.accept().await.unwrap().0, PATIENCE, turns.clone()), client)
}

/// Reads until the socket is cut, and how long that took.
async fn cut_after(ours: &mut Watched) -> Duration {
    let started = Instant::now();
    let mut buffer = [0; 64];
    loop {
        match timeout(Duration::from_secs(10), ours.read(&mut buffer)).await.expect("cut in time") {
            Ok(0) => panic!("the client has closed"),
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                return started.elapsed();
            }
        }
    }
}

fn serving(ours: &Watched) -> Serving {
    let pulse = Rc::clone(&ours.pulse);
    pulse.serving.set(pulse.serving.get() + 1);
    pulse.unread_since.set(None);
    Serving(pulse)
}

#[actix_web::test]
async fn bytes_that_make_no_request_in_time_end_the_connection_however_they_drip() {
    let (mut ours, mut client) = connected().await;
    let dripping = actix_web::rt::spawn(async move {
        while client.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    let took = cut_after(&mut ours).await;
    assert!((PATIENCE.head..PATIENCE.idle).contains(&took), "{took:?}");
    dripping.abort();
}

#[actix_web::test]
async fn a_silent_connection_ends_when_it_has_been_idle_for_long() {
    let (mut ours, _client) = connected().await;
    drop(serving(&ours));
    let took = cut_after(&mut ours).await;
    assert!(took >= PATIENCE.idle, "{took:?}");
}

#[actix_web::test]
async fn who_never_finishes_the_first_head_is_told_so_and_later_nothing_is_put_into_an_answer() {
    for (served, told) in [(false, TOO_SLOW), (true, b"")] {
        let (mut ours, mut client) = connected().await;
        if served {
            drop(serving(&ours));
        }
        client.write_all(b"GET /hea").await.unwrap();
        cut_after(&mut ours).await;
        drop(ours);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        // Mutant: without the question whether anything was written the second one is told as well.
        assert_eq!(heard, told, "{}", String::from_utf8_lossy(&heard));
    }
}

#[actix_web::test]
async fn a_request_under_way_is_never_cut() {
    let (mut ours, mut client) = connected().await;
    client.write_all(b"a request").await.unwrap();
    ours.read_exact(&mut [0; 9]).await.unwrap();
    let request = serving(&ours);
    client.write_all(b"its body").await.unwrap();
    let too_soon = timeout(2 * PATIENCE.idle, cut_after(&mut ours)).await;
    assert!(too_soon.is_err(), "cut after {too_soon:?}");
    drop(request);
    cut_after(&mut ours).await;
}

#[actix_web::test]
async fn a_stream_that_still_goes_out_keeps_its_connection() {
    let (ours, mut client) = connected().await;
    client.write_all(b"half of the next request").await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(ours);
    let reading = async {
        let mut buffer = [0; 64];
        while reader.read(&mut buffer).await.is_ok() {}
    };
    let writing = async {
        for _ in 0..20 {
            writer.write_all(b": ping\n\n").await.unwrap();
            sleep(PATIENCE.head / 4).await;
        }
    };
    tokio::select! {
        () = reading => panic!("cut while it was written to"),
        () = writing => {}
    }
}

#[actix_web::test]
async fn a_worker_reads_some_requests_before_it_goes_on_and_all_in_the_end() {
    let (turns, mut ours, mut clients) = (Turns::default(), Vec::new(), Vec::new());
    for _ in 0..3 * READS {
        let (our, mut client) = connected_to(&turns).await;
        client.write_all(b"x").await.unwrap();
        our.stream.readable().await.unwrap();
        ours.push(our);
        clients.push(client);
    }
    // Mutant: a socket that asks for no turn lets all of them read.
    let at_once = ours.iter_mut().filter_map(|our| our.read_u8().now_or_never()).count();
    assert_eq!(at_once, READS);
    for our in &mut ours[READS..] {
        assert_eq!(our.read_u8().await.unwrap(), b'x');
    }
}

#[actix_web::test]
async fn a_request_that_has_arrived_is_not_cut_while_it_waits_for_its_turn() {
    let turns = Turns::default();
    let (mut late, mut client) = connected_to(&turns).await;
    let mut busy = Vec::new();
    for _ in 0..READS {
        let (our, mut client) = connected_to(&turns).await;
        client.write_all(b"x").await.unwrap();
        our.stream.readable().await.unwrap();
        busy.push((our, client));
    }
    client.write_all(b"y").await.unwrap();
    late.stream.readable().await.unwrap();
    pause();
    advance(2 * PATIENCE.idle).await;
    resume();
    assert!(busy.iter_mut().all(|(our, _)| our.read_u8().now_or_never().is_some()));
    let at_once = late.read_u8().now_or_never();
    // Mutant: who waits for a turn asks the alarm, as who has nothing to read does.
    assert!(at_once.is_none(), "no turn is left, and it is not the client who is late: {at_once:?}");
    assert_eq!(late.read_u8().await.unwrap(), b'y');
}
