//! `serve --demo`: everything that a first look needs, made once and kept under `DATA_DIR`.

use super::say;
use crate::config::{Reader, Settings};
use crate::files::{read_secret, write_secret};
use crate::startup::Application;
use anyhow::Context;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tollgate_actors::identity::keys::Environment;
use tollgate_actors::identity::{CreateKey, Identity, IdentityError, Register};
use tollgate_sim::privy::Privy;
use tollgate_sim::provider::{Provider, ProviderOptions};
use tollgate_store::operator::find_user;

const USERNAME: &str = "demo";
/// Gateways that a stand-in can take the place of: those that the server can call.
const STOOD_IN_FOR: [&str; 1] = ["OPENROUTER"];
/// Whom the stand-in of Privy signs tokens for.
const PRIVY_APP: &str = "tollgate-demo";

/// A demo under way; the stand-ins end with it.
pub(super) struct Demo {
    key_file: PathBuf,
    provider: Option<Provider>,
    privy: Option<Privy>,
    stood_in_for: Vec<&'static str>,
}

impl Demo {
    /// Settings of the environment; behind it random secrets and stand-ins for gateways without a key.
    pub async fn prepare(environment: fn(&str) -> Option<String>) -> anyhow::Result<(Self, Settings)> {
        let env = Reader::new(&environment);
        let data_dir = PathBuf::from(env.text("DATA_DIR").unwrap_or_else(|| ".data".to_owned()));
        std::fs::create_dir_all(&data_dir).with_context(|| format!("DATA_DIR: can't make {}", data_dir.display()))?;
        let secrets = demo_secrets(&data_dir)?.map_or_else(|| make_secrets(&data_dir), Ok)?;
        let missing = |name: &&&str| env.text(&format!("{name}_API_KEY")).is_none();
        let stood_in_for: Vec<_> = STOOD_IN_FOR.iter().filter(missing).copied().collect();
        let provider = if stood_in_for.is_empty() { None } else { Some(Provider::start(ProviderOptions::default()).await?) };
        let has_privy = ["PRIVY_APP_ID", "PRIVY_JWKS_URL"].iter().any(|name| env.text(name).is_some());
        let privy = if has_privy { None } else { Some(Privy::start(PRIVY_APP).await?) };
        let base_url = provider.as_ref().map(Provider::base_url).unwrap_or_default();
        let settings = Settings::from_env(|name| {
            match (name, &privy) {
                ("PRIVY_APP_ID", Some(privy)) => return Some(privy.app_id().to_owned()),
                ("PRIVY_JWKS_URL", Some(privy)) => return Some(privy.jwks_url()),
                _ => {}
            }
            let (gateway, what) = name.split_once('_').unwrap_or((name, ""));
            match what {
                "API_KEY" if stood_in_for.contains(&gateway) => Some("stand-in".to_owned()),
                "BASE_URL" if stood_in_for.contains(&gateway) => Some(base_url.clone()),
                _ => env.text(name).or_else(|| secrets.get(name)?.as_str().map(str::to_owned)),
            }
        })?;
        Ok((Self { key_file: data_dir.join("demo_key"), provider, privy, stood_in_for }, settings))
    }

    /// Makes the demo user when there is none, and prints what to try.
    pub async fn welcome(&self, application: &Application) -> anyhow::Result<()> {
        let services = application.services();
        let key = demo_key(&services.actors.identity, &services.store, &self.key_file).await?;
        let address = reachable(application.address());
        if let Some(provider) = &self.provider {
            say(format_args!("No key for {}: a stand-in at {} answers instead.", self.stood_in_for.join(", "), provider.addr()));
        }
        if let Some(privy) = &self.privy {
            let (addr, app) = (privy.addr(), privy.app_id());
            say(format_args!("No PRIVY_APP_ID: a stand-in of Privy at {addr} signs tokens of the app {app}."));
        }
        say(format_args!("Tollgate serves at http://{address}, documentation at http://{address}/docs. Try:\n"));
        say(format_args!("  {}\n", example(address, &key)));
        Ok(())
    }
}

/// The secrets that a demo has left in that data folder.
pub(super) fn demo_secrets(data_dir: &Path) -> anyhow::Result<Option<Map<String, Value>>> {
    let path = data_dir.join("demo_secrets.json");
    let Some(text) = read_secret(&path).with_context(|| format!("can't read {}", path.display()))? else { return Ok(None) };
    let secrets = serde_json::from_str(text.expose_secret()).with_context(|| format!("{} is broken", path.display()))?;
    Ok(Some(secrets))
}

fn make_secrets(data_dir: &Path) -> anyhow::Result<Map<String, Value>> {
    let url_safe = || BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let standard = || BASE64_STANDARD.encode(rand::random::<[u8; 32]>());
    let secrets = Map::from_iter([
        ("ADMIN_API_KEY".to_owned(), Value::from(url_safe())),
        ("KEY_PEPPER".to_owned(), format!("v1:{}", standard()).into()),
        ("JWT_SECRET".to_owned(), url_safe().into()),
        ("VAULT_KEK".to_owned(), standard().into()),
    ]);
    let path = data_dir.join("demo_secrets.json");
    let text = serde_json::to_string_pretty(&secrets)?;
    write_secret(&path, &text).with_context(|| format!("DATA_DIR: can't write {}", path.display()))?;
    Ok(secrets)
}

/// The kept key while it works, else a new one.
async fn demo_key(identity: &Identity, store: &tollgate_store::Store, file: &Path) -> anyhow::Result<SecretString> {
    let kept = read_secret(file).with_context(|| format!("can't read {}", file.display()))?;
    if let Some(key) = kept
        && identity.find_key(key.expose_secret().trim()).await.is_ok()
    {
        return Ok(key.expose_secret().trim().to_owned().into());
    }
    let key = match identity.register(demo_user()).await {
        Ok(registered) => registered.api_key,
        Err(IdentityError::UsernameTaken | IdentityError::EmailTaken) => further_key(identity, store).await?,
        Err(error) => return Err(error.into()),
    };
    write_secret(file, key.expose_secret()).with_context(|| format!("DATA_DIR: can't write {}", file.display()))?;
    Ok(key)
}

fn demo_user() -> Register {
    Register {
        username: USERNAME.to_owned(),
        email: "demo@example.com".to_owned(),
        auth_method: "email".to_owned(),
        environment: Environment::Live,
        key_name: "Demo".to_owned(),
        credits: None,
        address: None,
    }
}

/// For a demo user whose key file is gone, or was made under another pepper.
async fn further_key(identity: &Identity, store: &tollgate_store::Store) -> anyhow::Result<SecretString> {
    let user = find_user(store, USERNAME).await?.context("the demo's e-mail address belongs to another user")?;
    let suffix = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 6]>());
    let create = CreateKey {
        user,
        key_name: format!("Demo {suffix}"),
        environment: Environment::Live,
        scope_permissions: serde_json::json!({"read": ["*"], "write": ["*"], "admin": ["*"]}),
        expiration_days: None,
        max_requests: None,
        ip_allowlist: Vec::new(),
        domain_referrers: Vec::new(),
        models: Vec::new(),
        budget: None,
    };
    Ok(identity.create_key(create).await?.api_key)
}

/// An address that a `curl` on this machine can use.
fn reachable(served: SocketAddr) -> SocketAddr {
    let ip = if served.ip().is_unspecified() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { served.ip() };
    SocketAddr::new(ip, served.port())
}

fn example(address: SocketAddr, key: &SecretString) -> String {
    format!(
        "curl http://{address}/v1/chat/completions -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \
         -d '{{\"model\": \"openai/gpt-4o-mini\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'",
        key.expose_secret()
    )
}
