//! Signing in with Privy.

use super::{ConfigError, Reader};
use actix_web::http::Uri;
use std::net::IpAddr;

/// `PRIVY_APP_ID` and `PRIVY_JWKS_URL`: both, or nobody signs in with Privy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivySettings {
    /// `PRIVY_APP_ID`: whom tokens must be made for.
    pub app_id: String,
    /// `PRIVY_JWKS_URL`: where Privy publishes its keys; the dashboard shows it.
    pub jwks_url: String,
}

impl PrivySettings {
    pub(super) fn read(env: &Reader<'_>) -> Result<Option<Self>, ConfigError> {
        const URL: &str = "PRIVY_JWKS_URL";
        match (env.text("PRIVY_APP_ID"), env.http_url(URL)?) {
            (None, None) => Ok(None),
            (Some(app_id), Some(jwks_url)) if is_safe(&jwks_url) => Ok(Some(Self { app_id, jwks_url })),
            (Some(_), Some(jwks_url)) => {
                Err(ConfigError::wrong(URL, &jwks_url, "an https address: who answers there can be anyone"))
            }
            (Some(_), None) => Err(ConfigError::missing(URL, "the JWKS endpoint that Privy's dashboard shows for PRIVY_APP_ID")),
            (None, Some(_)) => Err(ConfigError::missing("PRIVY_APP_ID", "the app whose tokens PRIVY_JWKS_URL verifies")),
        }
    }
}

/// Who can change the keys on their way can sign in as anybody. Within this machine nobody can.
fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    uri.scheme_str() == Some("https") || is_here
}
