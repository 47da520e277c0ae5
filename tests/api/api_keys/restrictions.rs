//! Promise K2 through the doors: ≥ 500 cases of X-Forwarded-For, networks, IPv4 in IPv6, Origin and Referer, 0 bypasses.

use super::{create, text};
use crate::support::{self, TestApp, TestUser};
use reqwest::Method;
use serde_json::json;

/// What a client can send along.
type Headers = Vec<(&'static str, String)>;

async fn status(app: &TestApp, key: &str, headers: &Headers) -> u16 {
    let request = app.request(Method::GET, "/user/balance").bearer_auth(key);
    let reply = headers.iter().fold(request, |request, (name, value)| request.header(*name, value.as_str())).send().await;
    let reply = reply.expect("an answer");
    let status = reply.status().as_u16();
    reply.bytes().await.expect("a whole answer");
    status
}

async fn key_with(app: &TestApp, user: &TestUser, field: &str, list: &[&str]) -> String {
    let name = format!("{field} {}", list.join(" "));
    text(&create(app, &user.key, json!({"key_name": name, field: list})).await["api_key"]).to_owned()
}

/// Networks, and addresses inside and outside of each, in every spelling that a proxy of ours may write.
const NETWORKS: [(&[&str], &[&str], &[&str]); 9] = [
    (&["192.0.2.7"], &["192.0.2.7"], &["192.0.2.6", "192.0.2.70", "19.20.2.7", "2001:db8::c000:207", "::c000:207"]),
    (&["192.0.2.0/24"], &["192.0.2.0", "192.0.2.255"], &["192.0.1.255", "192.0.3.0", "64:ff9b::c000:201"]),
    (&["192.0.2.77/24"], &["192.0.2.1"], &["192.0.3.77"]),
    (&["198.51.100.0/31"], &["198.51.100.0", "198.51.100.1"], &["198.51.100.2", "198.51.99.255"]),
    (&["::ffff:192.0.2.0/120"], &["192.0.2.9"], &["192.0.3.9", "2001:db8::1"]),
    (&["::ffff:203.0.113.5"], &["203.0.113.5"], &["203.0.113.6"]),
    (&["2001:db8::/32"], &["2001:db8::1", "2001:db8:ffff::"], &["2001:db9::1", "192.0.2.1", "::1", "2001:db7:ffff::1"]),
    (&["2001:db8::7"], &["2001:db8:0:0:0:0:0:7", "2001:DB8::7"], &["2001:db8::8", "2001:db8:7::"]),
    (&["0.0.0.0/0"], &["8.8.8.8"], &["2001:db8::1"]),
];

fn spellings(address: &str) -> Vec<String> {
    match address.parse::<std::net::IpAddr>().expect("an address") {
        std::net::IpAddr::V4(v4) => {
            vec![format!("{v4}"), format!("{v4}:4711"), format!("::ffff:{v4}"), format!("[::ffff:{v4}]:80")]
        }
        std::net::IpAddr::V6(_) => vec![address.to_owned(), format!("[{address}]"), format!("[{address}]:443")],
    }
}

/// Ways to send a true address through proxies of ours, with what a client forged before it.
fn forwarded(true_address: &str, forged: &str) -> Vec<Headers> {
    let line = |value: String| ("x-forwarded-for", value);
    vec![
        vec![line(true_address.to_owned())],
        vec![line(format!("{forged}, {true_address}"))],
        vec![line(forged.to_owned()), line(true_address.to_owned())],
        vec![line(format!("{forged},{true_address},10.1.1.1")), line("::ffff:10.2.2.2".to_owned())],
        vec![line(true_address.to_owned()), ("x-real-ip", forged.to_owned()), ("forwarded", format!("for={forged}"))],
    ]
}

#[actix_web::test]
async fn no_address_but_a_listed_one_passes_behind_our_proxies_in_500_cases() {
    let app = support::app_with(&[("TRUSTED_PROXIES", "127.0.0.0/8,::ffff:10.0.0.0/104")]).await;
    let user = app.register_user().await;
    let mut cases = 0;
    for (list, inside, outside) in NETWORKS {
        let key = key_with(&app, &user, "ip_allowlist", list).await;
        for (expected, addresses, forged) in [(200, inside, outside[0]), (403, outside, inside[0])] {
            for spelling in addresses.iter().flat_map(|address| spellings(address)) {
                for headers in forwarded(&spelling, forged) {
                    assert_eq!(status(&app, &key, &headers).await, expected, "{list:?} {headers:?}");
                    cases += 1;
                }
            }
        }
        // What is no address is the peer's, which is in none of the lists but the widest.
        let here = if list[0] == "0.0.0.0/0" { 200 } else { 403 };
        for garbage in
            ["", "unknown", "192.0.2.7/32", "0300.0.2.7", "192.0.2", "_x", "for=192.0.2.7", "192.0.2.7,", "2001:db8::7%eth0"]
        {
            let headers = vec![("x-forwarded-for", garbage.to_owned())];
            assert_eq!(status(&app, &key, &headers).await, here, "{list:?} {garbage:?}");
            cases += 1;
        }
    }
    println!("promise K2: {cases} cases of addresses over HTTP, 0 bypasses");
    assert!(cases >= 500, "{cases}");
}

/// Without a proxy of ours nothing that a client writes counts.
#[actix_web::test]
async fn a_client_that_comes_directly_is_its_peer_whatever_it_writes() {
    let app = support::app().await;
    let user = app.register_user().await;
    let elsewhere = key_with(&app, &user, "ip_allowlist", &["192.0.2.7", "2001:db8::/32", "10.0.0.0/8"]).await;
    let here = key_with(&app, &user, "ip_allowlist", &["::ffff:127.0.0.1"]).await;
    for address in ["192.0.2.7", "2001:db8::1", "10.0.0.1", "::ffff:192.0.2.7", "127.0.0.1"] {
        for headers in forwarded(address, "192.0.2.7").into_iter().chain([Vec::new()]) {
            assert_eq!(status(&app, &elsewhere, &headers).await, 403, "{headers:?}");
            assert_eq!(status(&app, &here, &headers).await, 200, "{headers:?}");
        }
    }
}

/// Hosts of pages, and whether a list of `example.org` and `*.shop.example.com` has them.
const HOSTS: [(&str, bool); 22] = [
    ("example.org", true),
    ("app.example.org", true),
    ("a.b.example.org", true),
    ("EXAMPLE.ORG", true),
    ("example.org.", true),
    ("shop.example.com", true),
    ("x.shop.example.com", true),
    ("example.com", false),
    ("evilexample.org", false),
    ("evil-example.org", false),
    ("example.org.evil.net", false),
    ("example.orgx", false),
    ("xample.org", false),
    ("org", false),
    ("evil.net", false),
    ("shop-example.com", false),
    ("example%2eorg", false),
    ("example.org@evil.net", false),
    ("evil.net\\.example.org", false),
    ("evil.net#.example.org", false),
    ("evil.net?.example.org", false),
    ("127.0.0.1", false),
];

#[actix_web::test]
async fn no_page_but_one_of_a_listed_domain_passes_in_200_cases() {
    let app = support::app().await;
    let user = app.register_user().await;
    let key = key_with(&app, &user, "domain_referrers", &["example.org", "*.shop.example.com"]).await;
    let mut cases = 0;
    let mut expect = async |headers: Headers, expected: u16| {
        assert_eq!(status(&app, &key, &headers).await, expected, "{headers:?}");
        cases += 1;
    };
    for (host, is_listed) in HOSTS {
        let expected = if is_listed { 200 } else { 403 };
        let good = "https://example.org".to_owned();
        for origin in [format!("https://{host}"), format!("http://{host}:8443")] {
            expect(vec![("origin", origin.clone())], expected).await;
            // A good Referer makes up for no bad Origin, nor the other way round.
            expect(vec![("origin", origin.clone()), ("referer", format!("{good}/"))], expected).await;
            expect(vec![("origin", good.clone()), ("referer", format!("{origin}/"))], 200).await;
            expect(vec![("origin", origin), ("origin", good.clone())], 403).await;
        }
        let is_one_host = !host.contains(['#', '?', '\\']);
        for referer in [format!("https://{host}/page"), format!("https://{host}:444/x?y#z")] {
            if is_one_host || !is_listed {
                expect(vec![("referer", referer)], expected).await;
            }
        }
        expect(vec![("referer", format!("https://evil.net/{host}"))], 403).await;
        expect(vec![("referer", format!("{host}/"))], 403).await;
    }
    for other in [
        "null",
        "",
        "file://example.org",
        "chrome-extension://example.org",
        "javascript://example.org/",
        "//example.org",
        "https://",
    ] {
        expect(vec![("origin", other.to_owned())], 403).await;
        expect(vec![("origin", other.to_owned()), ("referer", "https://example.org/".to_owned())], 403).await;
        expect(vec![("referer", other.to_owned())], 403).await;
    }
    expect(Vec::new(), 403).await;
    expect(vec![("host", "example.org".to_owned())], 403).await;
    println!("promise K2: {cases} cases of pages over HTTP, 0 bypasses");
    assert!(cases >= 200, "{cases}");
}
