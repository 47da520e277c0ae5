use super::*;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn pepper(version: i16, byte: u8) -> String {
    format!("v{version}:{}", STANDARD.encode([byte; 32]))
}

/// Peppers of one repeated byte each.
fn peppers(versions: &[(i16, u8)]) -> Peppers {
    let list: Vec<_> = versions.iter().map(|&(version, byte)| pepper(version, byte)).collect();
    Peppers::parse(&list.join(",").into()).expect("good peppers")
}

fn mint(environment: Environment, seed: u64) -> MintedKey {
    peppers(&[(1, 7)]).mint(environment, &mut StdRng::seed_from_u64(seed))
}

#[test]
fn a_key_is_its_environments_prefix_and_43_url_safe_characters() {
    let expected = [("live", "gw_live_"), ("test", "gw_test_"), ("staging", "gw_staging_"), ("development", "gw_dev_")];
    for (tag, prefix) in expected {
        let environment = Environment::parse(tag).expect("a tag of the contract");
        let minted = mint(environment, 1);
        let rest = minted.secret.expose_secret().strip_prefix(prefix).expect("the prefix");
        assert_eq!(rest.len(), 43);
        assert!(rest.bytes().all(is_url_safe), "{rest}");
        assert!(is_well_formed(minted.secret.expose_secret()));
        assert_eq!(environment.tag(), tag);
    }
    assert_eq!(Environment::parse("dev"), None);
}

#[test]
fn a_key_is_shown_as_its_first_ten_characters() {
    let minted = mint(Environment::Live, 1);
    let secret = minted.secret.expose_secret();
    assert_eq!(minted.masked, format!("{}...", &secret[..10]));
    assert_eq!(minted.last4, secret[secret.len() - 4..]);
    assert_eq!(minted.pepper_version, 1);
}

#[test]
fn keys_differ_and_the_hash_of_a_key_is_hmac_sha256() {
    let (one, two) = (mint(Environment::Live, 1), mint(Environment::Live, 2));
    assert_ne!(one.secret.expose_secret(), two.secret.expose_secret());
    // RFC 4231, test case 1: key 20 times 0x0b, data "Hi There". Peppers are longer, so the MAC is made by hand.
    let mac = Hmac::new_from_slice(&[0x0b; 20]).expect("a key");
    let hash = Pepper { version: 1, mac }.hash("Hi There");
    assert_eq!(hash.0[..4], [0xb0, 0x34, 0x4c, 0x61]);
}

#[test]
fn every_pepper_finds_the_keys_that_were_made_under_it() {
    let (old, both) = (peppers(&[(1, 7)]), peppers(&[(1, 7), (2, 8)]));
    let minted = old.mint(Environment::Live, &mut StdRng::seed_from_u64(3));
    let key = minted.secret.expose_secret();
    assert!(both.hash(key) != minted.hash);
    assert!(both.older_hashes(key) == vec![minted.hash]);
    assert_eq!(both.mint(Environment::Live, &mut StdRng::seed_from_u64(4)).pepper_version, 2);
}

#[test]
fn a_pepper_list_that_is_weak_or_malformed_is_refused() {
    let cases = [
        ("", PepperError::Empty),
        ("secret", PepperError::Malformed),
        ("1:AAAA", PepperError::Malformed),
        ("v1:!!", PepperError::Malformed),
        ("v1:AAAA", PepperError::Short),
    ];
    for (list, expected) in cases {
        assert_eq!(Peppers::parse(&list.to_owned().into()).err(), Some(expected), "{list:?}");
    }
    let twice = format!("{},{}", pepper(1, 7), pepper(1, 8));
    assert_eq!(Peppers::parse(&twice.into()).err(), Some(PepperError::Repeated));
}

proptest! {
    #[test]
    fn a_typo_is_refused_without_the_database(seed in any::<u64>(), position in 8usize..51, with in "[A-Za-z0-9_-]") {
        let minted = mint(Environment::Live, seed);
        let mut typo = minted.secret.expose_secret().to_owned();
        typo.replace_range(position..=position, &with);
        prop_assert_eq!(is_well_formed(&typo), typo == minted.secret.expose_secret());
    }

    #[test]
    fn any_text_is_judged_without_a_panic(text in "\\PC{0,80}", key_like in "gw_(live|test|dev)_[A-Za-z0-9_é-]{43}") {
        prop_assert!(!is_well_formed(&text));
        prop_assert!(!is_well_formed(&key_like));
    }
}
