//! Verifies Privy's access tokens as Privy's own SDK does, and stricter where a real token never comes (`tests.rs` has the table).
//! In one point it is laxer: clocks may differ by [`LEEWAY_S`].

use super::crypto;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::{Deserialize, Deserializer};
use tollgate_actors::ports::TokenKey;
use tollgate_actors::token_keys::{TokenKeyError, TokenKeys};

const ISSUER: &str = "privy.io";
const DID: &str = "did:privy:";
/// A real token has some 500 bytes.
const TOKEN_BYTES_MAX: usize = 8 << 10;
const KEY_ID_BYTES_MAX: usize = 256;
/// As long as the column is.
const DID_BYTES_MAX: usize = 255;
/// How far our clock and Privy's may be apart.
pub const LEEWAY_S: f64 = 5.0;

/// Why a token is not believed. The text is for the log: a forger learns nothing from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rejection(&'static str);

/// Why nobody is signed in by a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is not believed: {0}")]
    Rejected(#[from] Rejection),
    /// Privy's keys can't be had.
    #[error("the token can't be verified for now")]
    Unavailable,
}

/// Verifies tokens of one app.
pub struct PrivyVerifier {
    app_id: String,
    keys: TokenKeys,
}

#[derive(Deserialize)]
struct Claims {
    /// Of a list the SDK takes none, either.
    #[serde(rename = "aud")]
    _audience: String,
    #[serde(rename = "iss")]
    _issuer: String,
    sub: String,
    /// An identity token has none: it says who somebody is, not that they are here.
    sid: String,
    exp: f64,
    iat: f64,
    #[serde(default, deserialize_with = "given")]
    nbf: Option<f64>,
}

/// A `null` is no number.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(deserializer).map(Some)
}

impl PrivyVerifier {
    pub fn new(app_id: String, keys: TokenKeys) -> Self {
        crypto::install();
        Self { app_id, keys }
    }

    /// The DID of the user whose token this is.
    ///
    /// # Errors
    /// `Rejected`, or `Unavailable` when nobody can tell.
    pub async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<String, TokenError> {
        let key = match self.keys.find(&key_id(token)?).await {
            Ok(key) => key,
            Err(TokenKeyError::Unknown) => return Err(Rejection("the key is not Privy's").into()),
            Err(TokenKeyError::Unavailable) => return Err(TokenError::Unavailable),
        };
        Ok(check(token, &key, &self.app_id, now)?)
    }
}

/// Which key a token says that it was signed with.
fn key_id(token: &str) -> Result<String, Rejection> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Rejection("too long"));
    }
    let header = decode_header(token).map_err(|_| Rejection("no header of a JWT"))?;
    check_header(&header)?;
    header.kid.filter(|id| (1..=KEY_ID_BYTES_MAX).contains(&id.len())).ok_or(Rejection("no key id"))
}

fn check_header(header: &Header) -> Result<(), Rejection> {
    let is_jwt = |typ: &str| typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("application/jwt");
    if header.alg != Algorithm::ES256 {
        return Err(Rejection("another algorithm"));
    }
    if !header.typ.as_deref().is_some_and(is_jwt) {
        return Err(Rejection("another type"));
    }
    // What must be understood is not: no extension is.
    if header.crit.is_some() || header.extras.inner().contains_key("b64") {
        return Err(Rejection("a critical header"));
    }
    Ok(())
}

/// The user's DID, if the token is signed with that key, for that app, and its time is now.
fn check(token: &str, key: &TokenKey, app_id: &str, now: DateTime<Utc>) -> Result<String, Rejection> {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[app_id]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    // It would look at the machine's clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let decoded = decode::<Claims>(token, &DecodingKey::from_ec_der(&key.point), &validation);
    let claims = decoded.map_err(|_| Rejection("a wrong signature, issuer or audience, or a claim that is missing"))?.claims;
    check_times(&claims, now)?;
    let is_privy_user = claims.sub.strip_prefix(DID).is_some_and(|id| !id.is_empty()) && claims.sub.len() <= DID_BYTES_MAX;
    if !is_privy_user || claims.sub.chars().any(char::is_control) {
        return Err(Rejection("the subject is no user of Privy"));
    }
    if claims.sid.is_empty() {
        return Err(Rejection("no session"));
    }
    Ok(claims.sub)
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "seconds since 1970 are far below 2^53")]
fn check_times(claims: &Claims, now: DateTime<Utc>) -> Result<(), Rejection> {
    let now = now.timestamp() as f64;
    // Mutant: without this check 4 rows of the table are red.
    if claims.exp <= now - LEEWAY_S {
        return Err(Rejection("expired"));
    }
    if claims.nbf.is_some_and(|not_before| not_before > now + LEEWAY_S) {
        return Err(Rejection("not valid yet"));
    }
    if claims.iat == 0.0 {
        return Err(Rejection("no time of issue"));
    }
    Ok(())
}

#[cfg(test)]
pub(super) fn check_alone(token: &str, key: &TokenKey, app_id: &str, now: DateTime<Utc>) -> Result<String, Rejection> {
    crypto::install();
    key_id(token)?;
    check(token, key, app_id, now)
}
