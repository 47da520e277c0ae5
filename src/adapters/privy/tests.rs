//! The table of forgeries (`tollgate_sim::privy::attacks`): each is judged as it says, to the second. Promise A1.

use super::token::check_alone;
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use tollgate_actors::ports::TokenKey;
use tollgate_sim::privy::Privy;

const APP: &str = "cm-test-app";
const DID: &str = "did:privy:cmgg27la00077ie0cyazmvlsa";
const NOW_S: i64 = 1_800_000_000;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW_S, 999_000_000).unwrap()
}

fn key_of(privy: &Privy) -> TokenKey {
    let (id, point) = privy.public_key();
    TokenKey { id, point: point.try_into().unwrap() }
}

/// As the door sees it: a key that the token does not name is not there.
fn is_taken(token: &str, key: &TokenKey) -> bool {
    let names_key = jsonwebtoken::decode_header(token).is_ok_and(|header| header.kid.as_ref() == Some(&key.id));
    names_key && check_alone(token, key, APP, now()).is_ok()
}

#[tokio::test]
async fn each_forgery_is_judged_as_the_table_says() {
    crate::install_crypto();
    let privy = Privy::start(APP).await.unwrap();
    let (key, attacks) = (key_of(&privy), privy.attacks(DID, NOW_S));
    let wrong: Vec<_> = attacks.iter().filter(|attack| is_taken(&attack.token, &key) != attack.tollgate).collect();
    let names: Vec<_> = wrong.iter().map(|attack| &attack.name).collect();
    assert!(names.is_empty(), "judged otherwise: {names:?}");
    let distinct: HashSet<_> = attacks.iter().map(|attack| &attack.name).collect();
    assert_eq!(distinct.len(), attacks.len(), "a name stands twice");
    // Laxer than the SDK in one thing alone: the leeway.
    let laxer: Vec<_> = attacks.iter().filter(|attack| attack.tollgate && !attack.sdk).collect();
    assert!(laxer.iter().all(|attack| attack.to_the_second), "{laxer:?}");
    println!("promise A1: {} tokens, {} of them taken by nobody", attacks.len(), attacks.iter().filter(|a| !a.tollgate).count());
    assert!(attacks.len() >= 60);
}

/// Every character of a good token in the place of every other, and each of its parts left out.
#[tokio::test]
async fn no_changed_token_is_taken() {
    let privy = Privy::start(APP).await.unwrap();
    let key = key_of(&privy);
    let good = privy.token(DID, NOW_S);
    assert_eq!(check_alone(&good, &key, APP, now()).as_deref(), Ok(DID));
    let mut tried = 0;
    for place in 0..good.len() {
        for other in ["A", "_", "9", ".", "=", ""] {
            let mut changed = good.clone();
            changed.replace_range(place..=place, other);
            if changed != good {
                assert!(!is_taken(&changed, &key), "{other:?} at {place}");
                tried += 1;
            }
        }
    }
    println!("promise A1: {tried} mutations, none taken");
}

#[tokio::test]
async fn another_key_of_the_set_does_not_verify_the_token() {
    let privy = Privy::start(APP).await.unwrap();
    let old = key_of(&privy);
    privy.rotate().unwrap();
    let new = key_of(&privy);
    let token = privy.token(DID, NOW_S);
    assert!(check_alone(&token, &new, APP, now()).is_ok());
    assert!(check_alone(&token, &TokenKey { id: new.id.clone(), ..old }, APP, now()).is_err());
    assert!(check_alone(&token, &new, "another-app", now()).is_err());
}
