//! Who gets which connection, against servers that count theirs.

use super::{Destination, SendError, Transport};
use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const LIMIT: Duration = Duration::from_secs(10);
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell";

/// Connections and requests that came.
#[derive(Debug, Default)]
struct Came {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Came {
    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A server on loopback that gives each connection to `serve`. Ends with the test's runtime.
async fn server<F>(serve: impl Fn(TcpStream, Arc<Came>) -> F + Send + 'static) -> (SocketAddr, Arc<Came>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, came) = (listener.local_addr().unwrap(), Arc::<Came>::default());
    let counted = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream, Arc::clone(&counted)));
        }
    });
    (address, came)
}

/// True when a request came, all of it; the tests' requests fit into one read.
async fn request(stream: &mut TcpStream, came: &Came) -> bool {
    let is_one = matches!(stream.read(&mut [0; 4_096]).await, Ok(1..));
    came.requests.fetch_add(usize::from(is_one), Ordering::Relaxed);
    is_one
}

/// Answers after a moment, on and on.
async fn patient(mut stream: TcpStream, came: Arc<Came>) {
    while request(&mut stream, &came).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
        stream.write_all(ANSWER.as_bytes()).await.unwrap();
    }
}

fn plain(address: SocketAddr) -> Destination {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    Destination::new(Transport::with_tls(tls, LIMIT), format!("http://{address}/v1").parse().unwrap()).unwrap()
}

async fn ask(destination: &Destination) -> Result<Bytes, SendError> {
    let mut request = Request::new(Full::new(Bytes::from_static(b"{}")));
    *request.method_mut() = Method::POST;
    let answer = destination.send(request).await?;
    Ok(answer.into_body().collect().await?.to_bytes())
}

#[tokio::test]
async fn a_connection_is_opened_only_when_none_is_idle() {
    let (address, came) = server(patient).await;
    let destination = plain(address);
    // More than a line carries before it is renewed: that opens none either.
    for _ in 0..70 {
        assert_eq!(ask(&destination).await.unwrap(), "well");
    }
    // Mutant: an answer that keeps its connection to itself opens seventy.
    assert_eq!(came.connections(), 1);
    for _ in 0..5 {
        let answers = join_all((0..20).map(|_| ask(&destination))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
    assert_eq!((came.connections(), came.requests()), (20, 170));
}

#[tokio::test]
async fn a_connection_that_ended_while_it_was_idle_fails_no_call() {
    let answer_once = |mut stream: TcpStream, came: Arc<Came>| async move {
        request(&mut stream, &came).await;
        stream.write_all(ANSWER.as_bytes()).await.unwrap();
    };
    let (address, came) = server(answer_once).await;
    let destination = plain(address);
    for _ in 0..5 {
        assert_eq!(ask(&destination).await.unwrap(), "well");
        // For the end to arrive.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!((came.connections(), came.requests()), (5, 5));
}

#[tokio::test]
async fn what_a_provider_may_have_seen_is_not_sent_twice() {
    let hang_up_on_the_second = |mut stream: TcpStream, came: Arc<Came>| async move {
        request(&mut stream, &came).await;
        stream.write_all(ANSWER.as_bytes()).await.unwrap();
        request(&mut stream, &came).await;
    };
    let (address, came) = server(hang_up_on_the_second).await;
    let destination = plain(address);
    assert_eq!(ask(&destination).await.unwrap(), "well");
    // Mutant: one that is sent again after every failure is served here.
    assert!(matches!(ask(&destination).await, Err(SendError::Exchange(_))));
    assert_eq!((came.connections(), came.requests()), (1, 2));
}

#[tokio::test]
async fn an_answer_that_is_dropped_unread_closes_its_connection_unless_all_of_it_was_here() {
    let (address, came) = server(patient).await;
    let destination = plain(address);
    for _ in 0..3 {
        let request = Request::post("/").body(Full::new(Bytes::from_static(b"{}"))).unwrap();
        drop(destination.send(request).await.unwrap());
    }
    assert_eq!(came.connections(), 1, "four bytes that have come are no reason to hang up");

    let never_ends = |mut stream: TcpStream, came: Arc<Came>| async move {
        while request(&mut stream, &came).await {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\nwell").await.unwrap();
        }
    };
    let (address, came) = server(never_ends).await;
    let destination = plain(address);
    for _ in 0..3 {
        let request = Request::post("/").body(Full::new(Bytes::from_static(b"{}"))).unwrap();
        drop(destination.send(request).await.unwrap());
    }
    assert_eq!(came.connections(), 3);
}

#[tokio::test]
async fn an_answer_whose_pieces_are_all_here_leaves_others_their_turn() {
    const PIECES: usize = 20_000;
    let in_small_pieces = |mut stream: TcpStream, came: Arc<Came>| async move {
        request(&mut stream, &came).await;
        let pieces = "1\r\na\r\n".repeat(PIECES);
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{pieces}0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    };
    let (address, _) = server(in_small_pieces).await;
    let answer = plain(address).send(Request::post("/").body(Full::default()).unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), PIECES);
    other.abort();
    // Mutant: without asking for leave there are fewer than ten.
    assert!(turns.load(Ordering::Relaxed) >= 100, "{turns:?}");
}

/// A certificate of our own for 127.0.0.1, and who trusts it; `protocol` is the one that the server speaks.
fn certified(protocol: &[u8]) -> (TlsAcceptor, Transport) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let certificates = vec![cert.der().clone()];
    let mut server = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key.into()).unwrap();
    server.alpn_protocols = vec![protocol.to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), Transport::with_tls(client, LIMIT))
}

async fn well(request: Request<Incoming>, came: Arc<Came>) -> Result<Response<Full<Bytes>>, Infallible> {
    came.requests.fetch_add(1, Ordering::Relaxed);
    // Over HTTP/2 it is the URI that names the host.
    assert!(request.uri().authority().is_some() && !request.headers().contains_key("host"), "{request:?}");
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(Response::new(Full::new(Bytes::from_static(b"well"))))
}

#[tokio::test]
async fn http2_carries_all_calls_over_one_connection_and_opens_another_when_it_is_gone() {
    let (tls, transport) = certified(b"h2");
    let (address, came) = server(move |stream, came| {
        let tls = tls.clone();
        async move {
            let stream = TokioIo::new(tls.accept(stream).await.unwrap());
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(stream, service_fn(|request| well(request, Arc::clone(&came))));
            // Long enough for the first calls.
            let _ = tokio::time::timeout(Duration::from_millis(500), serving).await;
        }
    })
    .await;
    let destination = Destination::new(transport, format!("https://{address}/v1").parse().unwrap()).unwrap();
    let answers = join_all((0..20).map(|_| ask(&destination))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    // Mutant: without taking turns, twenty are opened.
    assert_eq!((came.connections(), came.requests()), (1, 20));
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(ask(&destination).await.unwrap(), "well");
    assert_eq!((came.connections(), came.requests()), (2, 21));
}

#[tokio::test]
async fn http1_under_tls_has_a_connection_for_each_call_at_once() {
    let (tls, transport) = certified(b"http/1.1");
    let (address, came) = server(move |stream, came| {
        let tls = tls.clone();
        async move {
            let mut stream = tls.accept(stream).await.unwrap();
            while matches!(stream.read(&mut [0; 4_096]).await, Ok(1..)) {
                came.requests.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
                stream.write_all(ANSWER.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let destination = Destination::new(transport, format!("https://{address}/v1").parse().unwrap()).unwrap();
    for _ in 0..2 {
        let answers = join_all((0..5).map(|_| ask(&destination))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
    assert_eq!(came.requests(), 10);
    assert!(came.connections() <= 5, "{came:?}");
}
