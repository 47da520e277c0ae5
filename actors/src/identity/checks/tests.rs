use super::*;
use crate::identity::tests::{NOON, caller};
use chrono::TimeDelta;
use serde_json::json;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const NOWHERE: Origin<'_> = Origin { address: HOME, site: None };

#[test]
fn checks_come_in_the_contracts_order() {
    // A key that every check refuses, healed check by check.
    let refused = |healed: usize| {
        let caller = caller(|row| {
            row.key.is_active = healed > 0;
            row.key.expiration_date = (healed <= 1).then_some(NOON);
            row.key.max_requests = Some(1);
            row.key.requests_used = i64::from(healed <= 2);
            row.key.ip_allowlist = if healed <= 3 { vec!["10.0.0.0/8".to_owned()] } else { Vec::new() };
            row.key.domain_referrers = if healed <= 4 { vec!["example.org".to_owned()] } else { Vec::new() };
        });
        check(&caller, NOWHERE, NOON).err()
    };
    let order = [Refusal::Inactive, Refusal::Expired, Refusal::RequestCap, Refusal::Address, Refusal::Domain];
    for (healed, refusal) in order.into_iter().enumerate() {
        assert_eq!(refused(healed), Some(refusal));
    }
    assert_eq!(refused(5), None);
}

#[test]
fn a_user_who_is_inactive_has_inactive_keys() {
    assert_eq!(check(&caller(|row| row.user.is_active = false), NOWHERE, NOON), Err(Refusal::Inactive));
}

#[test]
fn a_key_expires_exactly_at_its_time() {
    let expiring = caller(|row| row.key.expiration_date = Some(NOON));
    assert_eq!(check(&expiring, NOWHERE, NOON - TimeDelta::nanoseconds(1)), Ok(()));
    assert_eq!(check(&expiring, NOWHERE, NOON), Err(Refusal::Expired));
}

/// K4: to the nanosecond.
#[test]
fn the_secret_before_a_rotation_works_exactly_to_the_end_of_its_grace() {
    let end = NOON + TimeDelta::hours(24);
    let with_secret = |is_previous: bool| {
        caller(|row| {
            row.has_previous_secret = is_previous;
            row.key.previous.previous_expires_at = Some(end);
            row.key.previous.previous_masked = Some("gw_live_ol...".to_owned());
        })
    };
    let (old, new) = (with_secret(true), with_secret(false));
    assert_eq!(check(&old, NOWHERE, end - TimeDelta::nanoseconds(1)), Ok(()));
    assert_eq!(check(&old, NOWHERE, end), Err(Refusal::Expired));
    assert_eq!(check(&new, NOWHERE, end + TimeDelta::days(365)), Ok(()), "the new one goes on");
    assert_eq!([old.masked_key.as_str(), new.masked_key.as_str()], ["gw_live_ol...", "gw_live_ab..."]);
}

#[test]
fn a_list_of_empty_texts_is_no_list_and_a_list_of_garbage_allows_nobody() {
    let with_ips = |ips: &[&str]| caller(|row| row.key.ip_allowlist = ips.iter().map(|ip| (*ip).to_owned()).collect());
    for empty in [&[][..], &[""], &["", " "]] {
        assert_eq!(check(&with_ips(empty), NOWHERE, NOON), Ok(()), "{empty:?}");
    }
    assert_eq!(check(&with_ips(&["garbage"]), NOWHERE, NOON), Err(Refusal::Address));
    assert_eq!(check(&with_ips(&["", "192.0.2.1"]), NOWHERE, NOON), Ok(()));
    let garbage = caller(|row| row.key.domain_referrers = vec!["not a host".to_owned()]);
    assert_eq!(check(&garbage, Origin { address: HOME, site: Some("not a host") }, NOON), Err(Refusal::Domain));
}

#[test]
fn a_domain_list_demands_a_site() {
    let listed = caller(|row| row.key.domain_referrers = vec!["https://Example.org:8443/path".to_owned()]);
    let from = |site| check(&listed, Origin { address: HOME, site }, NOON);
    assert_eq!(from(None), Err(Refusal::Domain));
    assert_eq!(from(Some("example.org")), Ok(()));
    assert_eq!(from(Some("a.b.example.org")), Ok(()));
    assert_eq!(from(Some("evil-example.org")), Err(Refusal::Domain));
    assert_eq!(from(Some("example.org.evil.net")), Err(Refusal::Domain));
}

#[test]
fn scopes_allow_what_they_list() {
    let scopes = |value| Scopes::from_json(&value);
    assert!(scopes(json!({})).allow("write", "api_keys"), "nothing at all is everything");
    let some = scopes(json!({"read": ["*"], "write": ["chat"]}));
    assert!(some.allow("read", "api_keys") && some.allow("write", "chat"));
    assert!(!some.allow("write", "api_keys") && !some.allow("admin", "chat") && !some.allow("write", "*"));
    assert!(scopes(json!({"*": ["models"]})).allow("read", "models"));
    for malformed in [json!(null), json!("*"), json!({"read": "*"}), json!({"read": [1]}), json!([])] {
        assert!(!scopes(malformed.clone()).allow("read", "models"), "{malformed}");
    }
}

#[test]
fn scopes_cover_only_what_they_allow() {
    let full = Scopes::from_json(&json!({"read": ["*"], "write": ["*"], "admin": ["*"]}));
    let narrow = Scopes::from_json(&json!({"read": ["*"], "write": ["api_keys"]}));
    let empty = Scopes::from_json(&json!({}));
    let none = Scopes::from_json(&json!({"read": []}));
    assert!(full.cover(&empty) && empty.cover(&full) && full.cover(&narrow) && empty.cover(&empty));
    assert!(narrow.cover(&narrow) && narrow.cover(&none));
    assert!(!narrow.cover(&full) && !narrow.cover(&empty) && !none.cover(&narrow));
    assert!(!narrow.cover(&Scopes::from_json(&json!({"write": ["*"]}))));
    assert!(!full.cover(&Scopes::from_json(&json!({"*": ["*"]}))), "a verb that is not known yet");
}
