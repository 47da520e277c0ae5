//! Privy's set of keys (RFC 7517), as its JWKS endpoint serves it.

use crate::adapters::answer::{JSON, accept_status, refuse_encoding};
use crate::adapters::upstream_body::{Deadlines, UpstreamBody};
use crate::adapters::{AdapterError, TimeoutSettings, client, fault};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::header::ACCEPT;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout_at;
use tollgate_actors::ports::{Clock, GatewayError, KeySource, KeySourceError, Phase, TokenKey};

/// A set has a handful of keys of 200 bytes.
const BYTES_MAX: u64 = 64 << 10;
const KEYS_MAX: usize = 64;

/// A sign-in may wait for the set.
const TIMEOUTS: TimeoutSettings = TimeoutSettings {
    connect: Duration::from_secs(3),
    first_byte: Duration::from_secs(5),
    between_bytes: Duration::from_secs(3),
    total: Duration::from_secs(8),
};

/// The endpoint.
pub struct PrivyKeys {
    url: String,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl PrivyKeys {
    /// # Errors
    /// When the machine's root certificates can't be read.
    pub fn new(url: String, clock: Arc<dyn Clock>) -> Result<Self, AdapterError> {
        Ok(Self { url, client: client::build(&TIMEOUTS)?, clock })
    }

    /// The answer's body. A redirect is no answer.
    async fn body(&self) -> Result<Vec<u8>, GatewayError> {
        let deadlines = Deadlines::from_now(&TIMEOUTS);
        let (deadline, phase): (_, Phase) = deadlines.first();
        let request = self.client.get(&self.url).header(ACCEPT, JSON).send();
        let response = match timeout_at(deadline, request).await {
            Ok(answered) => answered.map_err(|error| fault::of_rare_call(&error))?,
            Err(_) => return Err(GatewayError::Timeout(phase)),
        };
        let response = accept_status(response.into(), deadlines, &*self.clock).await?;
        refuse_encoding(response.headers())?;
        UpstreamBody::new(response.into_body(), deadlines, BYTES_MAX).collect().await
    }
}

impl KeySource for PrivyKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Vec<TokenKey>, KeySourceError>> {
        async {
            let body = self.body().await.map_err(|error| KeySourceError(error.to_string()))?;
            keys_of(&body)
        }
        .boxed()
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    crv: String,
    x: String,
    y: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
}

/// The keys of the set that verify ES256; others may stand beside them.
fn keys_of(body: &[u8]) -> Result<Vec<TokenKey>, KeySourceError> {
    let set: KeySet = serde_json::from_slice(body).map_err(|error| KeySourceError(format!("no set of keys: {error}")))?;
    if set.keys.len() > KEYS_MAX {
        return Err(KeySourceError(format!("{} keys", set.keys.len())));
    }
    Ok(set.keys.into_iter().filter_map(|key| usable(serde_json::from_value(key).ok()?)).collect())
}

fn usable(jwk: Jwk) -> Option<TokenKey> {
    let is_or_unsaid = |said: Option<&str>, wanted: &str| said.is_none_or(|said| said == wanted);
    let fits = jwk.kty == "EC"
        && jwk.crv == "P-256"
        && is_or_unsaid(jwk.alg.as_deref(), "ES256")
        && is_or_unsaid(jwk.usage.as_deref(), "sig")
        && !jwk.kid.is_empty();
    let coordinate = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let point = [vec![4], coordinate(&jwk.x)?, coordinate(&jwk.y)?].concat();
    let point = point.try_into().ok()?;
    fits.then_some(TokenKey { id: jwk.kid, point })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn jwk(changes: &Value) -> Value {
        let coordinate = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
        let mut key =
            json!({"kty": "EC", "crv": "P-256", "kid": "one", "x": coordinate, "y": coordinate, "alg": "ES256", "use": "sig"});
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn ids(set: &Value) -> Vec<String> {
        keys_of(set.to_string().as_bytes()).unwrap().into_iter().map(|key| key.id).collect()
    }

    #[test]
    fn only_keys_that_verify_es256_are_taken() {
        let good = [json!({}), json!({"alg": null}), json!({"use": null}), json!({"kid": "two", "extra": [1]})];
        for changes in good {
            assert_eq!(ids(&json!({"keys": [jwk(&changes)]})).len(), 1, "{changes}");
        }
        let bad = [
            json!({"kty": "RSA"}),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"crv": "P-384"}),
            json!({"crv": "secp256k1"}),
            json!({"alg": "ES384"}),
            json!({"use": "enc"}),
            json!({"kid": ""}),
            json!({"kid": 7}),
            json!({"kid": null}),
            json!({"x": "AAAA"}),
            json!({"x": BASE64_URL_SAFE_NO_PAD.encode([7; 33])}),
            json!({"y": "?"}),
            json!({"y": null}),
        ];
        for changes in &bad {
            assert_eq!(ids(&json!({"keys": [jwk(changes), jwk(&json!({"kid": "good"}))]})), ["good"], "{changes}");
        }
    }

    #[test]
    fn what_is_no_set_is_an_error() {
        for body in ["", "null", "[]", "{}", r#"{"keys": {}}"#, r#"{"keys": [{"kty""#, "<html>"] {
            assert!(keys_of(body.as_bytes()).is_err(), "{body}");
        }
        let many = json!({"keys": vec![jwk(&json!({})); KEYS_MAX + 1]});
        assert!(keys_of(many.to_string().as_bytes()).is_err());
    }
}
