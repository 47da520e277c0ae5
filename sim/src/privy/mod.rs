//! Privy on loopback: an app's set of keys, with rotation, and tokens signed with them; and the forgeries that a server must
//! refuse ([`attacks`]).
//!
//! | request | answer |
//! |---|---|
//! | `GET …/jwks.json` | the set of keys |
//! | `POST /sim/privy/token` | `{"did": "did:privy:…", "now": 1800000000}` → `{"token"}`: an hour from `now` on |
//! | `POST /sim/privy/rotate` | signs with a new key; the old ones stay in the set |
//! | `POST /sim/privy/control` | `{"keys": "ok" or "500" or "hang" or "garbage" or "redirect" or "endless"}` |
//! | `GET /sim/privy/stats` | `{"key_sets"}`: how often the set was asked for |
//! | `POST /sim/privy/attacks` | as for a token → `[{"name", "token", "sdk", "tollgate"}]`: who takes it |

pub mod attacks;
mod keys;
mod serve;

pub use attacks::Attack;
pub use serve::KeySetAnswer;

use anyhow::Context;
use keys::SigningKey;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long a token is good for.
const LIFETIME_S: i64 = 3_600;

/// The issuer of every token.
pub const ISSUER: &str = "privy.io";

/// A running stand-in. Dropped, it stops listening and cuts its connections.
#[derive(Debug)]
pub struct Privy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    app_id: String,
    /// Oldest first; the last one signs.
    keys: RwLock<Vec<SigningKey>>,
    answer: RwLock<KeySetAnswer>,
    key_sets: AtomicUsize,
}

impl Privy {
    /// Listens on a free port of loopback, and serves on the runtime that this is called on.
    ///
    /// # Errors
    /// No port, or no randomness for a key.
    pub async fn start(app_id: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.context("no free port")?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            app_id: app_id.to_owned(),
            keys: RwLock::new(vec![SigningKey::new("sim-key-1".to_owned())?]),
            answer: RwLock::default(),
            key_sets: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(serve::accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, accepting })
    }

    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What `PRIVY_APP_ID` is set to.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.shared.app_id
    }

    /// What `PRIVY_JWKS_URL` is set to.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("http://{}/api/v1/apps/{}/jwks.json", self.addr, self.shared.app_id)
    }

    /// An access token of that user, good from `now_s` (seconds since 1970) on for an hour.
    #[must_use]
    pub fn token(&self, did: &str, now_s: i64) -> String {
        self.shared.token(did, now_s)
    }

    /// A token of any header and any claims, signed with the key that signs now.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let keys = self.shared.keys();
        keys.last().map(|key| key.token(&header.to_string(), &claims.to_string())).unwrap_or_default()
    }

    /// The header and the claims of a good token.
    #[must_use]
    pub fn good(&self, did: &str, now_s: i64) -> (Value, Value) {
        let keys = self.shared.keys();
        let id = keys.last().map(|key| key.id.clone()).unwrap_or_default();
        (header(&id), claims(&self.shared.app_id, did, now_s))
    }

    /// The key that signs now: its id, and its point, uncompressed.
    #[must_use]
    pub fn public_key(&self) -> (String, Vec<u8>) {
        let keys = self.shared.keys();
        keys.last().map(|key| (key.id.clone(), key.point().to_vec())).unwrap_or_default()
    }

    /// Signs with a new key from now on; the old ones stay in the set.
    ///
    /// # Errors
    /// No randomness for a key.
    pub fn rotate(&self) -> anyhow::Result<()> {
        self.shared.rotate()
    }

    /// Takes all keys but the one that signs out of the set.
    pub fn withdraw_old_keys(&self) {
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        let old = keys.len().saturating_sub(1);
        keys.drain(..old);
    }

    /// How the set is answered from now on.
    pub fn set_answer(&self, answer: KeySetAnswer) {
        *self.shared.answer.write().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// How often the set was asked for.
    #[must_use]
    pub fn key_sets(&self) -> usize {
        self.shared.key_sets.load(Ordering::SeqCst)
    }

    /// Tokens that are good in some way and bad in another, and who takes them.
    #[must_use]
    pub fn attacks(&self, did: &str, now_s: i64) -> Vec<Attack> {
        self.shared.attacks(did, now_s)
    }
}

impl Drop for Privy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn keys(&self) -> RwLockReadGuard<'_, Vec<SigningKey>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn key_set(&self) -> Value {
        let keys: Vec<_> = self.keys().iter().map(SigningKey::jwk).collect();
        json!({"keys": keys})
    }

    fn token(&self, did: &str, now_s: i64) -> String {
        let keys = self.keys();
        let signed = |key: &SigningKey| key.token(&header(&key.id).to_string(), &claims(&self.app_id, did, now_s).to_string());
        keys.last().map(signed).unwrap_or_default()
    }

    fn rotate(&self) -> anyhow::Result<()> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        // Withdrawn keys leave their numbers behind.
        let last = keys.last().and_then(|key| key.id.rsplit('-').next()?.parse::<u32>().ok()).unwrap_or(0);
        keys.push(SigningKey::new(format!("sim-key-{}", last.saturating_add(1)))?);
        Ok(())
    }

    fn attacks(&self, did: &str, now_s: i64) -> Vec<Attack> {
        let keys = self.keys();
        keys.last().map(|key| attacks::all(key, &self.app_id, did, now_s)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

fn header(key_id: &str) -> Value {
    json!({"alg": "ES256", "typ": "JWT", "kid": key_id})
}

fn claims(app_id: &str, did: &str, now_s: i64) -> Value {
    let exp = now_s.saturating_add(LIFETIME_S);
    json!({"sid": "cmgg27m0000790jl5a1b2c3d4", "iss": ISSUER, "iat": now_s, "aud": app_id, "sub": did, "exp": exp})
}
