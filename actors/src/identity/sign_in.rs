//! Signing in with Privy: who comes back gets a session key, who is new an account. Only the DID says who it is.

use super::Shared;
use super::caller::dollars_of;
use super::chores::{Applicant, days_after, enrol};
use super::keys::{Environment, MintedKey};
use super::messages::{IdentityError, SignIn, SignedIn};
use rand::Rng;
use serde_json::json;
use std::sync::Arc;
use tollgate_domain::UserId;
use tollgate_store::api_keys::NewKey;
use tollgate_store::privy::{self, PrivyUser};

/// Of the keys that a sign-in makes.
pub(super) const ENVIRONMENT: Environment = Environment::Live;

/// How long a web session lasts, and how many of a user's are alive at a time (decision 21).
const SESSION_DAYS: i64 = 30;
const SESSIONS_ALIVE_MAX: usize = 5;
const SESSION_NAME: &str = "Web session";
const PRIMARY_NAME: &str = "Primary Key";

/// Tries of a new account: each meets a name or an address that was taken a moment ago.
const TRIES: usize = 8;
/// Usernames with a random end, when all others are taken. A third of them all being taken by chance is beyond counting.
const RANDOM_NAMES: usize = 3;
const RANDOM_BYTES: usize = 4;
/// Characters of a DID in a username.
const DID_CHARS: usize = 8;
/// As long as the column is, with room for an end.
const NAME_CHARS_MAX: usize = 200;

/// A fresh session of the user with that DID; `None` when there is no such user.
pub(super) async fn open_session(shared: &Shared, did: &str, minted: &MintedKey) -> Result<Option<SignedIn>, IdentityError> {
    let now = shared.clock.now();
    let new = NewKey {
        key_hash: &minted.hash.0,
        pepper_version: minted.pepper_version,
        masked: &minted.masked,
        last4: &minted.last4,
        key_name: SESSION_NAME,
        environment_tag: ENVIRONMENT.tag(),
        is_primary: false,
        scope_permissions: json!({"read": ["*"], "write": ["*"], "admin": ["*"]}),
        ip_allowlist: &[],
        domain_referrers: &[],
        model_allowlist: &[],
        expiration_days: Some(SESSION_DAYS),
        expiration_date: Some(days_after(now, SESSION_DAYS)),
        max_requests: None,
        budget: None,
        is_session: true,
    };
    let session = match privy::open_session(&shared.store, did, &new, SESSIONS_ALIVE_MAX, now).await? {
        PrivyUser::Unknown => return Ok(None),
        PrivyUser::Inactive => return Err(IdentityError::InactiveUser),
        PrivyUser::SignedIn(session) => session,
    };
    let user = UserId(session.user.id);
    // A session that had to go is refused here at once.
    shared.cache.freshness.mark(user);
    Ok(Some(SignedIn {
        user,
        api_key: minted.secret.clone(),
        username: session.user.username,
        email: session.user.email,
        name: session.name,
        auth_method: session.user.auth_method,
        accounts: dollars_of(user, session.accounts),
        granted: None,
    }))
}

/// Makes the account. A name that is taken gives way to the next of `usernames`, an address that is taken to one that is the
/// DID's own: nobody can register it, as it is no address to the other doors.
pub(super) async fn sign_up(
    shared: Arc<Shared>,
    sign_in: SignIn,
    usernames: Vec<String>,
    minted: MintedKey,
) -> Result<SignedIn, IdentityError> {
    let own_address = format!("{}@privy.user", sign_in.did);
    let mut email = sign_in.email.as_deref().unwrap_or(&own_address);
    let mut usernames = usernames.iter();
    let mut username = usernames.next().ok_or(IdentityError::UsernameTaken)?;
    for _ in 0..TRIES {
        let applicant = Applicant {
            username,
            email,
            name: sign_in.name.as_deref(),
            privy_user_id: Some(&sign_in.did),
            auth_method: &sign_in.auth_method,
            environment: ENVIRONMENT,
            key_name: PRIMARY_NAME,
            credits: None,
        };
        match enrol(&shared, &applicant, &minted).await {
            Ok(enrolled) => {
                return Ok(SignedIn {
                    user: enrolled.user,
                    api_key: minted.secret,
                    username: username.clone(),
                    email: email.to_owned(),
                    accounts: dollars_of(enrolled.user, enrolled.accounts),
                    granted: Some(enrolled.credits),
                    name: sign_in.name,
                    auth_method: sign_in.auth_method,
                });
            }
            Err(IdentityError::UsernameTaken) => username = usernames.next().ok_or(IdentityError::UsernameTaken)?,
            Err(IdentityError::EmailTaken) if email != own_address => email = &own_address,
            // The user's other page was faster: here, too, they are signed in.
            // Mutant: with an error in its place `many_first_sign_ins_at_once_make_one_user` is red.
            Err(IdentityError::PrivyUserTaken) => {
                let returning = open_session(&shared, &sign_in.did, &minted).await?;
                return returning.ok_or(IdentityError::PrivyUserTaken);
            }
            Err(error) => return Err(error),
        }
    }
    Err(IdentityError::PrivyUserTaken)
}

/// What a new account may be called, best first: the address's local part, else `user_` and the DID's beginning; then the same
/// with the DID's beginning; then with random ends.
pub(super) fn usernames(sign_in: &SignIn, rng: &mut impl Rng) -> Vec<String> {
    let of_did: String = sign_in.did.rsplit(':').next().unwrap_or_default().chars().take(DID_CHARS).collect();
    let local = sign_in.email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(local, _)| local);
    let local: Option<String> = local.map(|local| local.chars().take(NAME_CHARS_MAX).collect());
    let mut names = match local {
        Some(local) => vec![local.clone(), format!("{local}_{of_did}")],
        None => vec![format!("user_{of_did}")],
    };
    let stem = names.last().cloned().unwrap_or_default();
    names.extend((0..RANDOM_NAMES).map(|_| {
        let mut random = [0_u8; RANDOM_BYTES];
        rng.fill_bytes(&mut random);
        random.iter().fold(format!("{stem}_"), |name, byte| format!("{name}{byte:02x}"))
    }));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn of(email: Option<&str>, did: &str) -> Vec<String> {
        let sign_in = SignIn {
            did: did.to_owned(),
            email: email.map(str::to_owned),
            name: None,
            auth_method: "email".to_owned(),
            address: None,
        };
        usernames(&sign_in, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn a_new_account_is_called_by_its_address_and_else_by_its_did() {
        let names = of(Some("ada@example.org"), "did:privy:cmgg27la00077ie0cyazmvlsa");
        assert_eq!(names[..2], ["ada", "ada_cmgg27la"]);
        assert_eq!(names.len(), 5);
        assert!(names[2..].iter().all(|name| name.starts_with("ada_cmgg27la_") && name.len() == 21), "{names:?}");
        assert_eq!(of(None, "did:privy:cmgg27la00077ie0cyazmvlsa")[0], "user_cmgg27la");
    }

    #[test]
    fn no_name_is_longer_than_its_column() {
        let names = of(Some(&format!("{}@example.org", "ü".repeat(250))), &format!("did:privy:{}", "x".repeat(240)));
        assert!(names.iter().all(|name| name.chars().count() <= 255));
    }
}
