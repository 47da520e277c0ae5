//! K2: cases of X-Forwarded-For, networks, IPv4 in IPv6, Origin and Referer, 0 bypasses.

use super::allow_lists::site;
use super::client_address::client_of;
use actix_web::http::header::HeaderMap;
use actix_web::test::TestRequest;
use ipnet::IpNet;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tollgate_actors::identity::checks::{address_allowed, domain_allowed, parse_domain, parse_net};

fn headers(list: &[(&'static str, String)]) -> HeaderMap {
    let request =
        list.iter().fold(TestRequest::default(), |request, (name, value)| request.append_header((*name, value.as_str())));
    request.to_http_request().headers().clone()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn nets(list: &[&str]) -> Vec<IpNet> {
    list.iter().map(|net| parse_net(net).unwrap_or_else(|| panic!("{net}"))).collect()
}

fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
    let lines: Vec<_> = forwarded.iter().map(|line| ("x-forwarded-for", (*line).to_owned())).collect();
    client_of(ip(peer), &headers(&lines), &nets(trusted)).to_string()
}

#[test]
fn x_forwarded_for_counts_only_behind_a_trusted_proxy_and_from_the_right() {
    let proxies = &["10.0.0.0/8", "2001:db8:ffff::/48"][..];
    let cases: &[(&str, &[&str], &[&str], &str)] = &[
        // No proxy of ours: whatever the header says is the client's own invention.
        ("203.0.113.9", &["192.0.2.1"], proxies, "203.0.113.9"),
        ("203.0.113.9", &["192.0.2.1"], &[], "203.0.113.9"),
        ("203.0.113.9", &["10.0.0.1"], proxies, "203.0.113.9"),
        ("10.0.0.1", &["192.0.2.1"], &[], "10.0.0.1"),
        // One proxy.
        ("10.0.0.1", &["192.0.2.1"], proxies, "192.0.2.1"),
        ("10.0.0.1", &[], proxies, "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6, 192.0.2.1"], proxies, "192.0.2.1"),
        ("10.0.0.1", &["6.6.6.6", "192.0.2.1"], proxies, "192.0.2.1"),
        ("10.0.0.1", &["192.0.2.1", "6.6.6.6, 10.2.2.2"], proxies, "6.6.6.6"),
        // Several.
        ("10.0.0.1", &["6.6.6.6, 192.0.2.1, 10.1.1.1, 10.2.2.2"], proxies, "192.0.2.1"),
        ("10.0.0.1", &["10.9.9.9, 10.1.1.1"], proxies, "10.9.9.9"),
        ("2001:db8:ffff::1", &["2001:db8::7"], proxies, "2001:db8::7"),
        // A client that claims to be one of ours.
        ("10.0.0.1", &["10.5.5.5, 192.0.2.1"], proxies, "192.0.2.1"),
        // Spellings.
        ("10.0.0.1", &[" 192.0.2.1 "], proxies, "192.0.2.1"),
        ("10.0.0.1", &["192.0.2.1:4711"], proxies, "192.0.2.1"),
        ("10.0.0.1", &["[2001:db8::7]:443"], proxies, "2001:db8::7"),
        ("10.0.0.1", &["[2001:db8::7]"], proxies, "2001:db8::7"),
        ("10.0.0.1", &["::ffff:192.0.2.1"], proxies, "192.0.2.1"),
        ("::ffff:10.0.0.1", &["192.0.2.1"], proxies, "192.0.2.1"),
        ("10.0.0.1", &["192.0.2.1, ::ffff:10.2.2.2"], proxies, "192.0.2.1"),
        ("10.0.0.1", &["192.0.2.1"], &["::ffff:10.0.0.0/104"], "192.0.2.1"),
        // Garbage that a hop of ours forwarded is the peer; garbage to the left of the client is not looked at.
        ("10.0.0.1", &["unknown"], proxies, "10.0.0.1"),
        ("10.0.0.1", &[""], proxies, "10.0.0.1"),
        ("10.0.0.1", &["192.0.2.1,"], proxies, "10.0.0.1"),
        ("10.0.0.1", &["192.0.2.1, ,10.2.2.2"], proxies, "10.0.0.1"),
        ("10.0.0.1", &["192.0.2.1/32"], proxies, "10.0.0.1"),
        ("10.0.0.1", &["0x7f.1"], proxies, "10.0.0.1"),
        ("10.0.0.1", &["010.0.0.1"], proxies, "10.0.0.1"),
        ("10.0.0.1", &["for=192.0.2.1"], proxies, "10.0.0.1"),
        ("10.0.0.1", &["_hidden, 192.0.2.1"], proxies, "192.0.2.1"),
    ];
    for (peer, forwarded, trusted, expected) in cases {
        assert_eq!(client(peer, forwarded, trusted), *expected, "peer {peer}, {forwarded:?}, trusted {trusted:?}");
    }
}

#[test]
fn a_site_is_told_by_origin_or_by_referer_and_never_by_a_trick() {
    type SentHeaders = &'static [(&'static str, &'static str)];
    let cases: &[(SentHeaders, Option<&str>)] = &[
        (&[], None),
        (&[("origin", "https://example.org")], Some("example.org")),
        (&[("origin", "HTTPS://Example.ORG:8443")], Some("example.org")),
        (&[("origin", "https://example.org.")], Some("example.org")),
        (&[("origin", "null")], None),
        (&[("origin", "null"), ("referer", "https://example.org/")], None),
        (&[("origin", ""), ("referer", "https://example.org/")], None),
        (&[("origin", "garbage"), ("referer", "https://example.org/")], None),
        (&[("origin", "https://evil.net"), ("referer", "https://example.org/")], Some("evil.net")),
        (&[("origin", "https://example.org"), ("origin", "https://evil.net")], None),
        (&[("origin", "example.org")], None),
        (&[("origin", "file://example.org")], None),
        (&[("origin", "chrome-extension://example.org")], None),
        (&[("origin", "https://example.org/path")], None),
        (&[("origin", "https://evil.net#example.org")], None),
        (&[("origin", "https://example.org@evil.net")], None),
        (&[("origin", "https://evil.net\\.example.org")], None),
        (&[("referer", "https://example.org/a?b#c")], Some("example.org")),
        (&[("referer", "https://evil.net/https://example.org/")], Some("evil.net")),
        (&[("referer", "https://evil.net?example.org")], Some("evil.net")),
        (&[("referer", "https://evil.net#.example.org")], Some("evil.net")),
        (&[("referer", "https://evil.net\\@example.org/")], Some("evil.net")),
        (&[("referer", "https://example.org@evil.net/")], None),
        (&[("referer", "https://example.org:x@evil.net/")], None),
        (&[("referer", "https://example.org:80:80/")], None),
        (&[("referer", "https:///example.org")], None),
        (&[("referer", "//example.org/")], None),
        (&[("referer", "javascript://example.org/%0a")], None),
        (&[("referer", "https://example%2eorg/")], None),
        (&[("referer", "https://[2001:db8::7]:8080/")], Some("2001:db8::7")),
        (&[("referer", "https://[example.org]/")], None),
        (&[("referer", "https://example.org/"), ("referer", "https://evil.net/")], None),
    ];
    for (list, expected) in cases {
        let list: Vec<_> = list.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        assert_eq!(site(&headers(&list)).as_deref(), *expected, "{list:?}");
    }
}

#[test]
fn a_domain_is_the_host_itself_or_below_it() {
    let list: Vec<_> =
        ["example.org", "*.shop.example.com", "https://App.test:3000/x"].iter().filter_map(|e| parse_domain(e)).collect();
    assert_eq!(list, ["example.org", "shop.example.com", "app.test"]);
    for good in ["example.org", "a.example.org", "a.b.example.org", "shop.example.com", "x.shop.example.com", "app.test"] {
        assert!(domain_allowed(&list, Some(good)), "{good}");
    }
    let bad = [
        "example.com",
        "org",
        "evilexample.org",
        "example.org.evil.net",
        "example.orgx",
        "xample.org",
        "",
        ".",
        "shop-example.com",
    ];
    for bad in bad {
        assert!(!domain_allowed(&list, Some(bad)), "{bad}");
    }
    for entry in ["", " ", "*", "*.", "a b", "exa\u{301}mple.org", "user@example.org", "[x]"] {
        assert!(parse_domain(entry).is_none_or(|host| host == "*"), "{entry:?}");
    }
}

/// Whether an address is in a network, said in another way than the code: as bits.
fn in_net(net: IpNet, address: IpAddr) -> bool {
    let as_bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let mapped = matches!(net, IpNet::V4(_));
    let length = u32::from(net.prefix_len()) + if mapped { 96 } else { 0 };
    let is_v4 = address.to_canonical().is_ipv4();
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    // A network of IPv6 that only happens to span the mapped addresses is not meant for IPv4.
    let same_family = if is_v4 { length >= 96 && as_bits(net.network()) >> 32 == 0xffff } else { true };
    same_family && as_bits(net.addr()) & mask == as_bits(address) & mask
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        // Near each other, so that networks and addresses meet.
        (0u32..1 << 10).prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
        (0u128..1 << 10).prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | bits))),
        (0u32..1 << 10).prop_map(|bits| IpAddr::V6(Ipv4Addr::from_bits(0x0a00_0000 | bits).to_ipv6_mapped())),
    ]
}

fn any_net() -> impl Strategy<Value = IpNet> {
    (any_address(), 0u8..=128).prop_map(|(address, length)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        IpNet::new(address, length % (longest + 1)).expect("a length that fits")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn networks_allow_exactly_their_addresses_0_bypasses_in_1000_cases(list in prop::collection::vec(any_net(), 1..4), address in any_address()) {
        let texts: Vec<_> = list.iter().map(ToString::to_string).collect();
        let parsed: Vec<_> = texts.iter().filter_map(|text| parse_net(text)).collect();
        prop_assert_eq!(address_allowed(&parsed, address), list.iter().any(|net| in_net(*net, address)), "{:?} {}", texts, address);
    }

    #[test]
    fn a_client_without_a_trusted_proxy_is_its_peer_whatever_it_writes(peer in any_address(), line in "\\PC{0,60}", hops in prop::collection::vec(any_address(), 0..5)) {
        let trusted = nets(&["172.16.0.0/12"]);
        prop_assume!(!address_allowed(&trusted, peer));
        let hops = hops.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let ascii: String = line.chars().filter(char::is_ascii).collect();
        let sent = headers(&[("x-forwarded-for", ascii), ("x-forwarded-for", hops)]);
        prop_assert_eq!(client_of(peer, &sent, &trusted), peer.to_canonical());
    }

    #[test]
    fn what_a_client_writes_to_the_left_of_its_own_address_changes_nothing(
        real in any_address(), forged in "[0-9a-f:., ]{0,60}", forged_hops in prop::collection::vec(any_address(), 0..5), ours in 0usize..4
    ) {
        let trusted = nets(&["172.16.0.0/12"]);
        prop_assume!(!address_allowed(&trusted, real));
        let forged = forged_hops.iter().map(ToString::to_string).chain([forged]).collect::<Vec<_>>().join(", ");
        let appended: Vec<_> = [real.to_string()].into_iter().chain((0..ours).map(|hop| format!("172.16.0.{hop}"))).collect();
        let one_line = headers(&[("x-forwarded-for", format!("{forged}, {}", appended.join(", ")))]);
        let lines: Vec<_> = [forged].into_iter().chain(appended).map(|line| ("x-forwarded-for", line)).collect();
        let peer = ip("172.16.9.9");
        prop_assert_eq!(client_of(peer, &one_line, &trusted), real.to_canonical());
        prop_assert_eq!(client_of(peer, &headers(&lines), &trusted), real.to_canonical());
    }

    #[test]
    fn only_the_host_itself_and_below_pass_for_a_domain(label in "[a-z0-9-]{0,8}", glue in "[.@:/\\\\#?%-]{0,2}", tail in "(\\.evil\\.net|:80|/x|)") {
        let list = vec!["example.org".to_owned()];
        let sent = headers(&[("referer", format!("https://{label}{glue}example.org{tail}"))]);
        let allowed = domain_allowed(&list, site(&sent).as_deref());
        // A browser's own parser is the judge.
        let host = reqwest::Url::parse(&format!("https://{label}{glue}example.org{tail}")).ok()
            .and_then(|url| url.host_str().map(|host| host.trim_end_matches('.').to_owned()));
        let expected = host.is_some_and(|host| host == "example.org" || host.ends_with(".example.org"));
        // We may be stricter than a browser, never laxer.
        prop_assert!(expected || !allowed, "{sent:?}");
    }

    #[test]
    fn headers_of_any_text_are_judged_without_a_panic(origin in "[ -~]{0,60}", referer in "[ -~]{0,60}", forwarded in "[ -~]{0,60}") {
        let sent = headers(&[("origin", origin), ("referer", referer), ("x-forwarded-for", forwarded)]);
        let _ = site(&sent);
        let _ = client_of(ip("10.0.0.1"), &sent, &nets(&["0.0.0.0/0", "::/0"]));
    }
}
