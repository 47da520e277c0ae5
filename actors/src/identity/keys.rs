//! What a key looks like, and how it is hashed.
//!
//! `gw_live_` + 37 random url-safe characters (222 bits) + 6 characters that are the CRC-32 of all before them. The
//! checksum lets a typo be refused without the database and a secret scanner be sure. A key with that much entropy
//! needs no password hash (OWASP ASVS 5, 6.5.2): it is stored as HMAC-SHA256 under a pepper that is not in the
//! database, so a stolen table verifies nothing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const RANDOM_CHARS: usize = 37;
const CHECKSUM_CHARS: usize = 6;
/// Shorter peppers could be searched.
const PEPPER_BYTES_MIN: usize = 32;
/// How much of a key is shown after its creation.
const MASKED_CHARS: usize = 10;

/// What a key is for; its prefix tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    Live,
    Test,
    Staging,
    Development,
}

impl Environment {
    pub const ALL: [Self; 4] = [Self::Test, Self::Staging, Self::Live, Self::Development];

    /// The tag in requests and answers.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
            Self::Staging => "staging",
            Self::Development => "development",
        }
    }

    /// What keys of this environment begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Live => "gw_live_",
            Self::Test => "gw_test_",
            Self::Staging => "gw_staging_",
            Self::Development => "gw_dev_",
        }
    }

    /// The environment of that tag.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|environment| environment.tag() == tag)
    }
}

/// HMAC-SHA256 of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

/// A new key: its only full copy, and what is kept of it.
pub struct MintedKey {
    pub secret: SecretString,
    pub hash: KeyHash,
    pub pepper_version: i16,
    /// The first ten characters and `...`.
    pub masked: String,
    pub last4: String,
}

/// Why `KEY_PEPPER` can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PepperError {
    #[error("is not a list like v1:BASE64,v2:BASE64")]
    Malformed,
    #[error("has a pepper shorter than 32 bytes")]
    Short,
    #[error("names a version twice")]
    Repeated,
    #[error("is empty")]
    Empty,
}

/// The peppers, newest first. New keys are hashed under the newest, known keys are found under any.
pub struct Peppers {
    newest: Pepper,
    older: Vec<Pepper>,
}

struct Pepper {
    version: i16,
    /// Keyed once; a clone of it hashes one key.
    mac: Hmac<Sha256>,
}

impl Pepper {
    fn parse(entry: &str) -> Result<Self, PepperError> {
        let (version, secret) = entry.split_once(':').ok_or(PepperError::Malformed)?;
        let version = version.strip_prefix('v').and_then(|version| version.parse().ok()).ok_or(PepperError::Malformed)?;
        let secret = STANDARD.decode(secret).map_err(|_| PepperError::Malformed)?;
        if secret.len() < PEPPER_BYTES_MIN {
            return Err(PepperError::Short);
        }
        Ok(Self { version, mac: Hmac::new_from_slice(&secret).map_err(|_| PepperError::Short)? })
    }

    fn hash(&self, key: &str) -> KeyHash {
        KeyHash(self.mac.clone().chain_update(key).finalize().into_bytes().into())
    }
}

impl Peppers {
    /// Reads `v1:BASE64[,v2:BASE64…]`, in any order.
    ///
    /// # Errors
    /// Text of another form, a pepper below 32 bytes, a version that comes twice.
    pub fn parse(list: &SecretString) -> Result<Self, PepperError> {
        let entries = list.expose_secret().split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let mut peppers = entries.map(Pepper::parse).collect::<Result<Vec<_>, _>>()?;
        peppers.sort_by_key(|pepper| std::cmp::Reverse(pepper.version));
        if peppers.windows(2).any(|pair| matches!(pair, [a, b] if a.version == b.version)) {
            return Err(PepperError::Repeated);
        }
        let mut newest_first = peppers.into_iter();
        let newest = newest_first.next().ok_or(PepperError::Empty)?;
        Ok(Self { newest, older: newest_first.collect() })
    }

    /// The key's hash under the newest pepper: its name in the cache, whatever pepper its row was written under.
    pub(super) fn hash(&self, key: &str) -> KeyHash {
        self.newest.hash(key)
    }

    /// The key's hashes under the older peppers, newest first.
    pub(super) fn older_hashes(&self, key: &str) -> Vec<KeyHash> {
        self.older.iter().map(|pepper| pepper.hash(key)).collect()
    }

    /// Makes a key.
    pub(super) fn mint(&self, environment: Environment, rng: &mut impl Rng) -> MintedKey {
        let mut random = [0_u8; RANDOM_CHARS];
        rng.fill_bytes(&mut random);
        let mut key = String::from(environment.prefix());
        key.extend(random.iter().map(|byte| url_safe(u32::from(*byte))));
        key.push_str(&checksum(&key));
        let masked = format!("{}...", key.chars().take(MASKED_CHARS).collect::<String>());
        let last4 = key.chars().skip(key.len().saturating_sub(4)).collect();
        MintedKey { hash: self.hash(&key), pepper_version: self.newest.version, masked, last4, secret: key.into() }
    }
}

/// Could this be a key of ours? False for a typo: the database need not be asked.
#[must_use]
pub fn is_well_formed(presented: &str) -> bool {
    let random = Environment::ALL.iter().find_map(|environment| presented.strip_prefix(environment.prefix()));
    let fits = random.is_some_and(|rest| rest.len() == RANDOM_CHARS + CHECKSUM_CHARS && rest.bytes().all(is_url_safe));
    let split = presented.len().saturating_sub(CHECKSUM_CHARS);
    // Mutant: without the checksum's comparison `a_typo_is_refused_without_the_database` is red.
    fits && presented.split_at_checked(split).is_some_and(|(body, given)| checksum(body) == given)
}

/// CRC-32 as six url-safe characters, most significant first.
fn checksum(text: &str) -> String {
    let crc = crc32fast::hash(text.as_bytes());
    [30, 24, 18, 12, 6, 0].map(|shift| url_safe(crc >> shift)).into_iter().collect()
}

/// The character of the lowest six bits.
fn url_safe(bits: u32) -> char {
    let index = usize::try_from(bits & 63).unwrap_or(0);
    URL_SAFE.get(index).copied().map_or('A', char::from)
}

const fn is_url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
