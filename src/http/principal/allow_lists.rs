//! From which site a browser sends a request.
//!
//! A list of domains binds browsers only: any program can send any header. It keeps a key that stands in a web page from
//! being used by other pages; it is no authentication.

use actix_web::http::header::{HeaderMap, HeaderName, ORIGIN, REFERER};
use tollgate_actors::identity::checks::host_of;

/// The host of `Origin`; without that header, of `Referer`. `None` when neither tells: missing, `null`, sent twice, not
/// http or https, or garbage. A present `Origin` is never made up for by a `Referer`.
pub fn site(headers: &HeaderMap) -> Option<String> {
    // Mutant: falling back to Referer when Origin is `null` turns `a_site_is_told_by_origin_or_by_referer…` red.
    if headers.contains_key(ORIGIN) { origin_host(headers) } else { host(only(headers, &REFERER)?) }
}

/// An origin is scheme, host and port, nothing behind (RFC 6454, 7).
fn origin_host(headers: &HeaderMap) -> Option<String> {
    let origin = only(headers, &ORIGIN)?;
    let (_, authority) = origin.split_once("://")?;
    let is_bare = !authority.contains(['/', '\\', '?', '#']);
    if is_bare { host(origin) } else { None }
}

fn host(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    if is_web { host_of(rest) } else { None }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}
