//! Keys on P-256, and tokens signed with them.

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
};
use serde_json::{Value, json};

/// A key pair, and how tokens name it.
pub(super) struct SigningKey {
    pub id: String,
    document: Vec<u8>,
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl SigningKey {
    pub fn new(id: String) -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let document = document.map_err(|_| anyhow::anyhow!("no key pair"))?.as_ref().to_vec();
        let pair = pair(&ECDSA_P256_SHA256_FIXED_SIGNING, &document, &random)?;
        Ok(Self { id, document, pair, random })
    }

    /// Uncompressed: `4`, then x and y.
    pub fn point(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub fn jwk(&self) -> Value {
        let coordinate = |from: usize| encode(self.point().get(from..from.saturating_add(32)).unwrap_or_default());
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id, "x": coordinate(1), "y": coordinate(33)})
    }

    /// r and s, 32 bytes each; empty when the machine has no randomness to give.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&self.random, message).map(|signature| signature.as_ref().to_vec()).unwrap_or_default()
    }

    /// The same in DER.
    pub fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        let signed = pair(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.document, &self.random)
            .and_then(|pair| pair.sign(&self.random, message).ok().context("no signature"));
        signed.map(|signature| signature.as_ref().to_vec()).unwrap_or_default()
    }

    /// A token of that header and those claims, as they are written.
    pub fn token(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = encode(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

fn pair(algorithm: &'static EcdsaSigningAlgorithm, document: &[u8], random: &SystemRandom) -> anyhow::Result<EcdsaKeyPair> {
    EcdsaKeyPair::from_pkcs8(algorithm, document, random).map_err(|error| anyhow::anyhow!("no key pair: {error}"))
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
