//! Privy for a test: the stand-in, and a server that believes it.

use super::{Reply, TestApp, app_with};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tollgate_actors::ports::Clock;
use tollgate_sim::privy::Privy;

pub const APP_ID: &str = "cm-test-app";

/// A server where users sign in with Privy.
pub struct PrivyApp {
    pub app: TestApp,
    pub privy: Privy,
}

impl PrivyApp {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let privy = Privy::start(APP_ID).await.expect("the stand-in of Privy starts");
        let url = privy.jwks_url();
        let mut all = vec![("PRIVY_APP_ID", APP_ID), ("PRIVY_JWKS_URL", url.as_str())];
        all.extend_from_slice(settings);
        Self { app: app_with(&all).await, privy }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.app.clock.now()
    }

    /// A good token of that user.
    pub fn token(&self, did: &str) -> String {
        self.privy.token(did, self.now().timestamp())
    }

    /// Signs in as the web client's header does, with one account of an e-mail address.
    pub async fn sign_in(&self, did: &str, email: &str) -> Reply {
        self.app.post("/auth", body(did, email, &self.token(did))).await
    }

    /// Signs in, and answers what the door answered.
    pub async fn signed_in(&self, did: &str, email: &str) -> Value {
        let reply = self.sign_in(did, email).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }
}

/// What the web client's header sends.
pub fn body(did: &str, email: &str, token: &str) -> Value {
    json!({
        "user": {
            "id": did,
            "created_at": 1_700_000_000,
            "linked_accounts": [{"type": "email", "address": email, "verified_at": 1_700_000_000}],
            "mfa_methods": [],
            "has_accepted_terms": false,
            "is_guest": false,
        },
        "token": token,
        "auto_create_api_key": true,
        "trial_credits": 10,
    })
}
