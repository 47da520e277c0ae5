//! The server's own secrets. A demo makes random ones; anything else must bring its own.

use super::{ConfigError, Reader};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};

/// Shorter passwords can be guessed.
const ADMIN_KEY_CHARS_MIN: usize = 24;
/// 256 bits, as HMAC-SHA256 and the key encryption want.
const KEY_BYTES: usize = 32;
const PEPPER_WANTS: &str = "v1:BASE64[,v2:BASE64…], each of at least 32 random bytes, no version twice";

/// `ADMIN_API_KEY`, `KEY_PEPPER` (both required), `JWT_SECRET`, `VAULT_KEK` (checked when given: nothing needs them yet).
#[derive(Clone, Debug)]
pub struct SecretSettings {
    /// `ADMIN_API_KEY`: opens the admin doors.
    pub admin_api_key: SecretString,
    /// `KEY_PEPPER`: `v1:BASE64[,v2:…]`, under which API keys are hashed; new keys use the highest version.
    pub key_pepper: SecretString,
    /// `JWT_SECRET`: signs our own access tokens.
    pub jwt_secret: Option<SecretString>,
    /// `VAULT_KEK`: BASE64 of 32 bytes, wraps the vault's keys.
    pub vault_kek: Option<SecretString>,
}

impl SecretSettings {
    pub(super) fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            admin_api_key: required(env, "ADMIN_API_KEY", is_strong, "at least 24 characters that are hard to guess")?,
            key_pepper: required(env, "KEY_PEPPER", is_pepper_list, PEPPER_WANTS)?,
            jwt_secret: checked(
                env,
                "JWT_SECRET",
                |text| text.len() >= KEY_BYTES && is_strong(text),
                "at least 32 random characters",
            )?,
            vault_kek: checked(env, "VAULT_KEK", |text| key(text).is_some(), "BASE64 of 32 random bytes")?,
        })
    }
}

fn required(env: &Reader<'_>, name: &str, good: impl Fn(&str) -> bool, wants: &str) -> Result<SecretString, ConfigError> {
    checked(env, name, good, wants)?.ok_or_else(|| ConfigError::missing(name, wants))
}

fn checked(env: &Reader<'_>, name: &str, good: impl Fn(&str) -> bool, wants: &str) -> Result<Option<SecretString>, ConfigError> {
    match env.secret(name) {
        Some(secret) if !good(secret.expose_secret()) => Err(ConfigError::wrong_secret(name, secret.expose_secret(), wants)),
        secret => Ok(secret),
    }
}

/// Long enough, without blanks (it travels in a header), and not a few letters repeated.
fn is_strong(text: &str) -> bool {
    text.chars().count() >= ADMIN_KEY_CHARS_MIN
        && text.chars().all(|letter| letter.is_ascii_graphic())
        && has_variety(text.as_bytes())
}

/// Eight different bytes at least: random secrets of this length always have them, `changeme…` and keyboards' rows rarely.
fn has_variety(bytes: &[u8]) -> bool {
    let mut different = bytes.to_vec();
    different.sort_unstable();
    different.dedup();
    different.len() >= 8
}

fn key(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    (bytes.len() == KEY_BYTES && has_variety(&bytes)).then_some(bytes)
}

fn is_pepper_list(text: &str) -> bool {
    let versions: Option<Vec<_>> = text.split(',').map(|entry| pepper_version(entry.trim())).collect();
    let Some(mut versions) = versions else { return false };
    versions.sort_unstable();
    versions.windows(2).all(|pair| matches!(pair, [older, newer] if older < newer))
}

/// The version of a well-formed, strong entry.
fn pepper_version(entry: &str) -> Option<i16> {
    let (version, secret) = entry.strip_prefix('v')?.split_once(':')?;
    let bytes = BASE64_STANDARD.decode(secret).ok()?;
    let strong = bytes.len() >= KEY_BYTES && has_variety(&bytes);
    version.parse().ok().filter(|version| *version > 0 && strong)
}
