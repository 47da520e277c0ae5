//! Promise P5 for what says who is calling, and from where.

use super::bearer::presented;
use super::client_address::client_of;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::net::IpAddr;
use tollgate_actors::identity::checks::{address_allowed, domain_allowed, host_of, parse_domain, parse_net};
use tollgate_actors::identity::keys::is_well_formed;
use tollgate_fuzz::Fuzz;

/// A header's value; what no header can carry becomes a blank.
fn value(bytes: &[u8]) -> HeaderValue {
    let carried: Vec<u8> = bytes.iter().map(|byte| if matches!(byte, 0..32 | 127) { b' ' } else { *byte }).collect();
    HeaderValue::from_bytes(&carried).expect("a header's value")
}

#[test]
fn fuzz_a_presented_key_is_one_trimmed_text_of_one_header() {
    const AUTHORIZATIONS: [&str; 5] = ["Bearer gw_live_abc", "bearer  gw_test_x ", "Basic dTpw", "gw_live_abc", ""];
    let words = ["Bearer ", "bEARER", "Basic ", " ", "\t", ",", "gw_live_", "gw_test_", "sk_live_", "\u{a0}", "\u{e9}"];
    Fuzz::new("the key's header").corpus(AUTHORIZATIONS).words(words).run(|text, dice| {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, value(text));
        let lines = 1 + usize::from(dice.below(4) == 0);
        if lines == 2 {
            headers.append(AUTHORIZATION, value(b"Bearer other"));
        }
        let Some(key) = presented(&headers) else { return };
        assert_eq!(lines, 1, "of two keys neither counts");
        assert!(!key.is_empty() && key == key.trim() && key.is_ascii());
        let line = value(text).to_str().expect("ASCII").trim().to_ascii_lowercase();
        assert_eq!(line.strip_prefix("bearer ").map(str::trim), Some(key.to_ascii_lowercase().as_str()));
        assert!(!is_well_formed(key) || key.starts_with("gw_"));
    });
}

#[test]
fn fuzz_no_x_forwarded_for_makes_a_client_someone_else() {
    const FORWARDED: [&str; 5] = [
        "192.0.2.1",
        "6.6.6.6, 192.0.2.1, 10.1.1.1",
        "[2001:db8::7]:443, ::ffff:10.2.2.2",
        "unknown, _hidden",
        "192.0.2.1:4711,",
    ];
    let words = [
        ",",
        ", ",
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "192.0.2.1",
        "[::1]",
        ":80",
        "for=",
        "\"",
        "0x7f.1",
        "2001:db8::",
        "%eth0",
        "/8",
    ];
    let trusted = [parse_net("10.0.0.0/8").unwrap()];
    let (proxy, stranger): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "203.0.113.9".parse().unwrap());
    let honest: IpAddr = "198.51.100.7".parse().unwrap();
    Fuzz::new("X-Forwarded-For").corpus(FORWARDED).words(words).run(|text, _| {
        let line = HeaderName::from_static("x-forwarded-for");
        let mut headers = HeaderMap::new();
        headers.append(line.clone(), value(text));
        assert_eq!(client_of(stranger, &headers, &trusted), stranger, "a stranger is not believed");
        let client = client_of(proxy, &headers, &trusted);
        let shown = client.to_string();
        let is_told = String::from_utf8_lossy(text).split(',').any(|hop| hop.contains(&shown) || hop.contains(':'));
        assert!(client == proxy || is_told, "{client} stands nowhere");
        headers.append(line, value(b"198.51.100.7, 10.3.3.3"));
        // Mutant: walking from the left turns this red.
        assert_eq!(client_of(proxy, &headers, &trusted), honest, "what the client wrote stands before what our proxy wrote");
    });
}

#[test]
fn fuzz_a_network_is_shown_as_it_was_read_and_allows_itself() {
    const NETS: [&str; 6] = ["10.0.0.0/8", "192.0.2.1", "::ffff:10.0.0.0/104", "2001:db8::/32", " 0.0.0.0/0 ", "::/0"];
    let words = ["/", "/0", "/32", "/128", "/129", "::", "ffff:", ".", "255.", "0x10", "010.", "-", "%1"];
    let (outside, mapped): (IpAddr, IpAddr) = ("203.0.113.9".parse().unwrap(), "::ffff:203.0.113.9".parse().unwrap());
    Fuzz::new("networks").corpus(NETS).words(words).run(|text, _| {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let Some(net) = parse_net(text) else { return };
        assert_eq!(parse_net(&net.to_string()), Some(net));
        // `::ffff:10.0.0.0/10` is neither a net of IPv4 addresses nor one that they are looked for in.
        let is_odd = net.addr() != net.addr().to_canonical() && net.prefix_len() < 96;
        assert!(is_odd || address_allowed(&[net], net.addr()), "{net} does not allow its own address");
        // A net of IPv4 addresses, in either spelling, and no other, holds an IPv4 address.
        let is_inside = net.contains(&outside) || (net.prefix_len() >= 96 && net.contains(&mapped));
        assert_eq!(address_allowed(&[net], outside), is_inside, "{net}");
    });
}

#[test]
fn fuzz_the_host_of_a_page_is_the_one_that_browsers_see() {
    const PAGES: [&str; 6] = [
        "example.org",
        "app.example.org:8443/path?x#y",
        "example.org@evil.example",
        "[2001:db8::7]:443/",
        "EXAMPLE.org.",
        "example.org\\@evil.example/",
    ];
    let words = [
        "example.org",
        "evil.example",
        "@",
        ":",
        "/",
        "\\",
        "?",
        "#",
        ".",
        "..",
        "%2e",
        "%00",
        "://",
        "*.",
        "xn--",
        "\t",
        "[::1]",
        "\u{3002}",
        "user:pw@",
    ];
    Fuzz::new("a page's host").corpus(PAGES).words(words).run(|text, _| {
        let Ok(text) = std::str::from_utf8(text) else { return };
        if let Some(host) = parse_domain(text).filter(|host| !host.contains(':')) {
            assert_eq!(parse_domain(&host), Some(host), "what is read is read again");
        }
        let Some(host) = host_of(text) else { return };
        assert!(!host.is_empty() && !host.contains(['@', '/', '\\', ' ', '%']) && host == host.to_ascii_lowercase(), "{host}");
        // WHATWG's own reading. Numbers that stand for addresses are no names in our lists.
        let Ok(url) = reqwest::Url::parse(&format!("https://{text}")) else { return };
        let Some(seen) = url.domain() else { return };
        // Mutant: a host that may hold `@` turns this red.
        assert_eq!(host, seen.trim_end_matches('.'), "{text:?}");
        assert_eq!(
            domain_allowed(&["example.org".to_owned()], Some(&host)),
            host == "example.org" || host.ends_with(".example.org")
        );
    });
}
