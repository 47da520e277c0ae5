//! Where a request comes from.
//!
//! Anyone can write `X-Forwarded-For`. It counts only when the peer is a proxy of ours, and is then walked from the
//! right: each of our proxies has appended whom it heard, so the first address that is not ours is the client.

use crate::startup::Services;
use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, web};
use ipnet::IpNet;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tollgate_actors::identity::checks::address_allowed;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address, as far as it can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    pub(in crate::http) fn of(request: &HttpRequest) -> Self {
        // Without a peer there is no socket: a test's request.
        let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let services = request.app_data::<web::Data<Services>>();
        let trusted = services.map_or(&[][..], |services| services.settings.server.trusted_proxies.as_slice());
        Self(client_of(peer, request.headers(), trusted))
    }
}

impl FromRequest for ClientAddress {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

/// The client behind that peer. When a hop of ours forwarded something that is no address, it is the peer; when all
/// hops are ours, it is the first of them.
pub fn client_of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    // Mutant: without this line a client that is no proxy names its own address: `a_client_without_a_trusted_proxy…` is red.
    if !address_allowed(trusted, peer) {
        return peer;
    }
    let lines: Vec<&[u8]> = headers.get_all(X_FORWARDED_FOR).map(HeaderValue::as_bytes).collect();
    let mut client = peer;
    for line in lines.into_iter().rev() {
        // As bytes: whatever a client writes to the left of our proxies' hops must not make those unreadable.
        // Mutant: `split` for `rsplit` walks from the left, where the client writes: `what_a_client_writes_to_the_left…` is red.
        for hop in line.rsplit(|byte| *byte == b',') {
            let Some(hop) = std::str::from_utf8(hop).ok().and_then(|hop| address(hop.trim())) else { return peer };
            client = hop;
            if !address_allowed(trusted, hop) {
                return hop;
            }
        }
    }
    client
}

/// An address as proxies write it: bare, in brackets, with a port.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.parse::<IpAddr>().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || hop.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    bare.or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}
