//! What a client tells of a Privy user, in either spelling: as the web client writes it, or the raw user of Privy's SDK.

use crate::http::text;
use chrono::{DateTime, NaiveDate, Utc};
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use utoipa::ToSchema;

/// A Privy user. Unknown members are ignored
#[derive(Deserialize, ToSchema)]
pub struct PrivyUser {
    /// `did:privy:…`: the token's subject.
    pub(super) id: String,
    /// Seconds since 1970, or ISO 8601.
    #[serde(default, alias = "createdAt", rename = "created_at")]
    #[schema(value_type = Option<Value>)]
    _created_at: Option<Moment>,
    #[serde(default, alias = "linkedAccounts")]
    linked_accounts: Vec<LinkedAccount>,
}

/// A way in which the user signs in to Privy
#[derive(Deserialize, ToSchema)]
pub struct LinkedAccount {
    /// `email`, `google_oauth`, `github_oauth` (or `github`), `wallet`, …
    #[serde(rename = "type")]
    kind: String,
    email: Option<String>,
    /// The address of an account of type `email`; of a wallet it is another thing.
    address: Option<String>,
    name: Option<String>,
    #[serde(default, alias = "verifiedAt", rename = "verified_at")]
    #[schema(value_type = Option<Value>)]
    _verified_at: Option<Moment>,
    #[serde(default, alias = "firstVerifiedAt", rename = "first_verified_at")]
    #[schema(value_type = Option<Value>)]
    _first_verified_at: Option<Moment>,
    #[serde(default, alias = "latestVerifiedAt", rename = "latest_verified_at")]
    #[schema(value_type = Option<Value>)]
    _latest_verified_at: Option<Moment>,
}

/// A date of either kind. It is checked, and not kept: nobody has vouched for it.
struct Moment;

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const WANTED: &str = "seconds since 1970 or a date in ISO 8601";
        match Value::deserialize(deserializer)? {
            Value::Number(number) if is_time(&number) => Ok(Self),
            Value::String(text) if is_date(&text) => Ok(Self),
            Value::String(text) => Err(D::Error::invalid_value(Unexpected::Str(&text), &WANTED)),
            _ => Err(D::Error::custom(format!("invalid type, expected {WANTED}"))),
        }
    }
}

fn is_time(number: &Number) -> bool {
    number.as_f64().is_some_and(|seconds| (0.0..1e15).contains(&seconds))
}

fn is_date(text: &str) -> bool {
    text.parse::<DateTime<Utc>>().is_ok() || text.parse::<NaiveDate>().is_ok()
}

/// What a new account takes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Person {
    /// A well-formed address.
    pub email: Option<String>,
    pub name: Option<String>,
    /// Of the first linked account that is of a known kind.
    pub auth_method: Option<&'static str>,
}

impl PrivyUser {
    /// `email`: what stands beside the user.
    pub fn person(&self, email: Option<&str>) -> Person {
        let of_accounts = self.linked_accounts.iter().find_map(LinkedAccount::address);
        let beside = || email.and_then(|email| text::email("email", email).ok());
        let named = |account: &LinkedAccount| text::short("name", account.name.as_deref()?).ok();
        Person {
            email: of_accounts.or_else(beside),
            name: self.linked_accounts.iter().find_map(named),
            auth_method: self.linked_accounts.iter().find_map(LinkedAccount::method),
        }
    }
}

impl LinkedAccount {
    fn address(&self) -> Option<String> {
        let of_email = self.address.as_deref().filter(|_| self.kind == "email");
        text::email("email", self.email.as_deref().or(of_email)?).ok()
    }

    fn method(&self) -> Option<&'static str> {
        const METHODS: [(&str, &str); 9] = [
            ("email", "email"),
            ("google_oauth", "google"),
            ("google", "google"),
            ("github_oauth", "github"),
            ("github", "github"),
            ("wallet", "wallet"),
            ("smart_wallet", "wallet"),
            ("phone", "phone"),
            ("passkey", "passkey"),
        ];
        METHODS.iter().find(|(kind, _)| *kind == self.kind).map(|(_, method)| *method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::extract::parse;
    use serde_json::json;

    fn read(user: &Value) -> PrivyUser {
        parse(user.to_string().as_bytes()).unwrap()
    }

    fn person(user: &Value) -> Person {
        read(user).person(None)
    }

    #[test]
    fn both_spellings_say_the_same() {
        let snake = json!({"id": "did:privy:a", "created_at": 1_700_000_000, "mfa_methods": [], "is_guest": false,
            "linked_accounts": [{"type": "google_oauth", "subject": "1", "email": "a@example.org", "name": "Ada",
                "verified_at": 1_700_000_000, "first_verified_at": null, "latest_verified_at": 1.5}]});
        let camel = json!({"id": "did:privy:a", "createdAt": "2023-11-14T22:13:20.000Z", "mfaMethods": [], "isGuest": false,
            "linkedAccounts": [{"type": "google_oauth", "subject": "1", "email": "a@example.org", "name": "Ada",
                "verifiedAt": "2023-11-14T22:13:20.000Z", "firstVerifiedAt": null, "latestVerifiedAt": "2023-11-14"}]});
        let expected =
            Person { email: Some("a@example.org".to_owned()), name: Some("Ada".to_owned()), auth_method: Some("google") };
        assert_eq!(person(&snake), expected);
        assert_eq!(person(&camel), expected);
    }

    #[test]
    fn an_address_is_read_from_either_member_and_a_wallets_is_none() {
        let of = |accounts: Value| person(&json!({"id": "did:privy:a", "linked_accounts": accounts}));
        let address = |accounts: Value| of(accounts).email;
        assert_eq!(address(json!([{"type": "email", "address": "a@example.org"}])).as_deref(), Some("a@example.org"));
        assert_eq!(address(json!([{"type": "email", "email": "a@example.org"}])).as_deref(), Some("a@example.org"));
        assert_eq!(address(json!([{"type": "wallet", "address": "a@example.org"}])), None);
        assert_eq!(
            address(json!([{"type": "email", "address": "nobody"}, {"type": "github", "email": "b@example.org"}])).as_deref(),
            Some("b@example.org")
        );
        for (kind, method) in [("github", "github"), ("github_oauth", "github"), ("email", "email"), ("wallet", "wallet")] {
            assert_eq!(of(json!([{"type": "farcaster"}, {"type": kind}])).auth_method, Some(method));
        }
        assert_eq!(of(json!([])), Person { email: None, name: None, auth_method: None });
        let beside = read(&json!({"id": "did:privy:a"})).person(Some("c@example.org"));
        assert_eq!(beside.email.as_deref(), Some("c@example.org"));
    }

    #[test]
    fn what_is_no_date_is_refused_where_it_stands() {
        for date in [json!("yesterday"), json!(true), json!([]), json!(-1), json!("")] {
            assert!(parse::<PrivyUser>(json!({"id": "a", "created_at": date}).to_string().as_bytes()).is_err(), "{date}");
            let accounts = json!({"id": "a", "linkedAccounts": [{"type": "email", "verifiedAt": date}]});
            assert!(parse::<PrivyUser>(accounts.to_string().as_bytes()).is_err(), "{date}");
        }
    }
}
