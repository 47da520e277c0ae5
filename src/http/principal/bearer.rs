//! The key that a request presents.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The bearer token of `Authorization`, else `X-API-Key`. `None` when there is none, or more than one of the same
/// header: which of them counts would depend on who reads them.
pub fn presented(headers: &HeaderMap) -> Option<&str> {
    match only(headers, &AUTHORIZATION) {
        Presence::One(text) => bearer(text).or_else(|| only(headers, &X_API_KEY).one()),
        Presence::Many => None,
        Presence::None => only(headers, &X_API_KEY).one(),
    }
    .map(str::trim)
    .filter(|key| !key.is_empty())
}

enum Presence<'a> {
    None,
    One(&'a str),
    Many,
}

impl<'a> Presence<'a> {
    const fn one(self) -> Option<&'a str> {
        match self {
            Self::One(text) => Some(text),
            Self::None | Self::Many => None,
        }
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Presence<'a> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (None, _) => Presence::None,
        // Bytes that are no text are somebody's header, but no key of ours.
        (Some(value), None) => Presence::One(value.to_str().unwrap_or_default()),
        (Some(_), Some(_)) => Presence::Many,
    }
}

/// The scheme is case-insensitive (RFC 9110, 11.1).
fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn of(headers: &[(&'static str, &'static str)]) -> Option<String> {
        let request = headers.iter().fold(TestRequest::default(), |request, header| request.append_header(*header));
        presented(request.to_http_request().headers()).map(str::to_owned)
    }

    #[test]
    fn a_key_is_read_from_either_header() {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let header = format!("{scheme} gw_live_x").leak();
            assert_eq!(of(&[("authorization", header)]).as_deref(), Some("gw_live_x"));
        }
        assert_eq!(of(&[("x-api-key", " gw_live_y ")]).as_deref(), Some("gw_live_y"));
        assert_eq!(of(&[("authorization", "Bearer a"), ("x-api-key", "b")]).as_deref(), Some("a"));
        assert_eq!(of(&[("authorization", "Basic dTpw"), ("x-api-key", "b")]).as_deref(), Some("b"));
    }

    #[test]
    fn no_key_and_an_ambiguous_key_are_none() {
        let cases: [&[(&str, &str)]; 6] = [
            &[],
            &[("authorization", "Bearer ")],
            &[("authorization", "gw_live_x")],
            &[("authorization", "Basic dTpw")],
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
            &[("x-api-key", "a"), ("x-api-key", "b")],
        ];
        for headers in cases {
            assert_eq!(of(headers), None, "{headers:?}");
        }
    }
}
